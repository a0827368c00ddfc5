"""The committed mini suite: what it must hold, that its labels are GFN2-xTB's, and that a seed makes it again."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import h5py
import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from lib.chemistry import bonds, normal_modes, xtb
from lib.chemistry.atom_types import atom_types
from lib.chemistry.reference_energies import FORMATION, LARGEST_RESIDUAL, reference_energies
from lib.data.datasets import find, open_store
from lib.data.readers import READERS
from lib.data.readers import iso17 as data_readers_iso17
from lib.mini_suite import ani1, ani1x, assemblies, example, grow, iso17, md22, relaxed, sampling, spice
from lib.mini_suite.build import RECIPES, SEED, molecule_seed
from lib.mini_suite.filters import MAX_ENERGY, MAX_FORCE, GeometryFilter, plausible
from lib.mini_suite.free_atoms import write_reference_energies
from lib.paths import DATA
from lib.report import data_overview
from lib.units import BOHR, EV, HARTREE

MINI = DATA / "mini"
OWN_GRID = {  # Hartree/Å, where a file's forces are rounded once more in its own unit
    "iso17": iso17.FORCE_GRID * EV / HARTREE,
    "spice": spice.GRADIENT_GRID / BOHR,
    "md22": md22.FORCE_GRID / HARTREE,
    "example": 10.0**-example.DIGITS * EV / HARTREE,
}
OPTIONS = {"example": {"energy_unit": "eV", "level": xtb.LEVEL}}  # a user's file says neither
GROUPS = {
    "alcohol": "[CX4][OX2H]", "phenol": "c[OX2H]", "ether": "[#6][OX2;!$(OC=O)][#6]", "aldehyde": "[CX3H1](=O)",
    "ketone": "[#6][CX3](=O)[#6]", "carboxylic acid": "C(=O)[OX2H]", "ester": "C(=O)[OX2][#6]", "amide": "C(=O)N",
    "amine": "[NX3;!$(N[!#6;!#1]);!$(NC=[O,N])]", "nitrile": "C#N", "nitro": "[NX3+](=O)[O-]", "alkene": "C=C",
    "alkyne": "C#C", "imine": "C=[NX2]", "oxime": "C=N[OX2H]", "hydrazine": "NN", "azide": "N=[N+]=[N-]",
    "isocyanate": "N=C=O", "epoxide": "C1OC1", "urea": "NC(=O)N", "carbamate": "NC(=O)O", "amidine": "N=CN",
    "aromatic carbocycle": "c1ccccc1", "heteroaromatic": "[n,o]", "peroxide": "OO", "anhydride": "C(=O)OC(=O)",
}  # fmt: skip


READ_AS = {"example": "own", "relaxed": "ani1x"}


def read(name):
    return READERS[READ_AS.get(name, name)](MINI / name, **OPTIONS.get(name, {}))


def test_ani1_molecules_are_many_small_and_diverse():
    smiles = sampling.read_molecules(ani1.MOLECULES)
    molecules = [Chem.MolFromSmiles(s) for s in smiles]
    assert len({Chem.CanonSmiles(s) for s in smiles}) == len(smiles) >= 300
    assert {m.GetNumHeavyAtoms() for m in molecules} == set(range(1, 9))
    assert {a.GetSymbol() for m in molecules for a in m.GetAtoms()} == {"C", "N", "O"}
    found = {
        name for name, smarts in GROUPS.items() for m in molecules if m.HasSubstructMatch(Chem.MolFromSmarts(smarts))
    }
    assert len(found) >= 15, sorted(set(GROUPS) - found)


def without_chain_carbons(smiles: str) -> str:
    """Canonical SMILES with every CH2 of a chain contracted: equal for the members of a homologous series."""
    molecule = Chem.RWMol(Chem.MolFromSmiles(smiles))
    while True:
        for atom in molecule.GetAtoms():
            ends = [n.GetIdx() for n in atom.GetNeighbors()]
            chain = atom.GetSymbol() == "C" and atom.GetTotalNumHs() == 2 and len(ends) == 2 and not atom.IsInRing()
            if chain and all(b.GetBondType() == Chem.BondType.SINGLE for b in atom.GetBonds()):
                molecule.AddBond(*ends, Chem.BondType.SINGLE)
                molecule.RemoveAtom(atom.GetIdx())
                Chem.SanitizeMol(molecule)
                break
        else:
            return Chem.MolToSmiles(molecule)


def test_ani1_has_no_homologues():
    assert without_chain_carbons("CCCO") == without_chain_carbons("CCO") == without_chain_carbons("CO")
    keys = [without_chain_carbons(s) for s in sampling.read_molecules(ani1.MOLECULES)]
    assert len(set(keys)) == len(keys)


def test_counts():
    small = list(READERS["ani1"](MINI / "ani1"))
    assert len(small) >= 300
    assert sum(len(m.energy) for m in small) >= 40_000
    assert max((m.z > 1).sum() for m in small) == 8
    large = list(READERS["ani1x"](MINI / "ani1x"))
    written = {smiles for group in groups("ani1x").values() for smiles in group.attrs["smiles"]}
    assert written == set(sampling.read_molecules(ani1x.MOLECULES))
    assert len([smiles for smiles in written if "." not in smiles]) >= 150
    assert sum(len(m.energy) for m in large) >= 15_000
    assert 24 <= max(len(m.z) for m in large) <= 32
    assert all(m.forces is not None for m in large)


def test_size():
    files = [p for name in ("ani1", "ani1x") for p in (MINI / name).iterdir()]
    assert sum(p.stat().st_size for p in files) <= 13 * 2**20
    assert sum(p.stat().st_size for p in MINI.rglob("*") if p.is_file()) <= 30 * 2**20


@pytest.mark.parametrize("name", list(RECIPES))
def test_energies_are_near_the_free_atoms(name):
    for molecule in read(name):
        residual = molecule.energy - reference_energies(molecule.level, atom_types(molecule.z, molecule.charges)).sum()
        assert np.abs(residual).max() < LARGEST_RESIDUAL * (molecule.z > 1).sum()
        if not molecule.charges.any():
            assert residual.max() < 0, molecule.name  # every molecule is bound


@pytest.mark.parametrize("name", list(RECIPES))
def test_relabelled_frames_agree(name):
    """20 committed frames, drawn with a fixed seed: energies to 1e-6 Hartree, forces to their grid.

    Two ions far apart converge on one machine and not on another: one such frame is let pass.
    """
    rng = np.random.default_rng(0)
    molecules = [m for m in read(name) if len(m.z) <= 100]
    hung = []
    for k in rng.integers(len(molecules), size=20):
        molecule = molecules[k]
        frame = int(rng.integers(len(molecule.energy)))
        charge = int(molecule.charges.sum())
        try:
            label = xtb.single_point(molecule.z, molecule.positions[frame].astype(float), charge)
        except RuntimeError:
            hung.append((molecule.name, frame))
            assert len(hung) == 1, hung
            assert "." in molecule.name, hung
            continue
        free = 0.0
        if molecule.level.endswith(FORMATION):
            free = reference_energies(xtb.LEVEL, atom_types(molecule.z, molecule.charges)).sum()
        assert label.energy == pytest.approx((molecule.energy[frame] + free) / HARTREE, abs=1e-6), (
            molecule.name,
            frame,
        )
        if molecule.forces is not None:
            grids = xtb.FORCE_GRID + OWN_GRID.get(name, 0.0)
            named = f"{molecule.name}, frame {frame}"
            np.testing.assert_allclose(label.forces, molecule.forces[frame] / HARTREE, atol=0.51 * grids, err_msg=named)


def test_positions_are_on_their_grid():
    for molecule in READERS["ani1x"](MINI / "ani1x"):
        scaled = molecule.positions.astype(float) / xtb.POSITION_GRID
        np.testing.assert_array_equal(scaled, np.round(scaled))


def groups(name: str) -> dict[str, h5py.Group]:
    """Every molecule's group of the committed files, by SMILES (ANI-1) or by formula (ANI-1x)."""
    found = {}
    for path in sorted((MINI / name).iterdir()):
        file = h5py.File(path)
        for group in [g for root in file.values() for g in (root.values() if name == "ani1" else [root])]:
            key = b"".join(group["smiles"][()]).decode() if name == "ani1" else group.name.strip("/")
            found[key] = group
    return found


def made_twice(line: int):
    """Frames of a molecule of ANI-1, the same bit for bit here and now, and the committed group of the molecule."""
    smiles = sampling.read_molecules(ani1.MOLECULES)[line]
    again, twice = (ani1.sample(smiles, molecule_seed(SEED, line)) for _ in range(2))
    np.testing.assert_array_equal(again.positions, twice.positions)
    np.testing.assert_array_equal(again.energy, twice.energy)
    return again, groups("ani1")[smiles]


@pytest.mark.parametrize("line", [7, 90, 130])
def test_a_seed_makes_a_molecule_of_ani1_again(line):
    """As committed, but for what another processor's arithmetic moves, where no two modes lie within 4 cm⁻¹."""
    again, group = made_twice(line)
    np.testing.assert_allclose(again.energy, group["energies"][()], atol=1e-3, rtol=0)
    np.testing.assert_allclose(again.positions, group["coordinates"][()], atol=0.02, rtol=0)


@pytest.mark.parametrize("line", [3, 60])
def test_degenerate_modes_make_other_frames_of_the_same_law(line):
    """Ethane and bicyclo[1.1.1]pentane have pairs of modes of one frequency. Rounding chooses their axes, so another
    processor makes other frames; temperatures, and with them energies on average, are those committed.
    """
    again, group = made_twice(line)
    committed = group["energies"][()]
    assert abs(len(again.energy) - len(committed)) <= 5
    error = np.hypot(again.energy.std() / len(again.energy) ** 0.5, committed.std() / len(committed) ** 0.5)
    assert abs(again.energy.mean() - committed.mean()) < 4 * error
    assert again.energy.std() == pytest.approx(committed.std(), rel=0.5)


@pytest.mark.parametrize("smiles", ["O.CO", "CC(=O)Nc1ccc(O)cc1"])
def test_a_seed_makes_a_molecule_of_ani1x_again(smiles):
    """Bit for bit here and now. Dynamics amplify the last digits, so another processor may make other frames."""
    line = sampling.read_molecules(ani1x.MOLECULES).index(smiles)
    again, twice = (ani1x.sample(smiles, molecule_seed(SEED, line), frames=12) for _ in range(2))
    np.testing.assert_array_equal(again.positions, twice.positions)
    np.testing.assert_array_equal(again.energy, twice.energy)
    np.testing.assert_array_equal(again.forces, twice.forces)


def test_committed_frames_pass_the_filter():
    """No fused or dissociated frame, none with an implausible energy or force."""
    for smiles, group in groups("ani1").items():
        accept = GeometryFilter(Chem.AddHs(Chem.MolFromSmiles(smiles)))
        frames = group["coordinates"][()].astype(float)
        assert all(accept.accepts(x) for x in frames), smiles
        energy = group["energies"][()] * HARTREE
        assert (energy - energy.min()).max() <= MAX_ENERGY * frames.shape[1]
    for molecule in READERS["ani1x"](MINI / "ani1x"):
        assert np.linalg.norm(molecule.forces, axis=-1).max() <= MAX_FORCE


def test_dimers_and_larger_molecules_are_sampled():
    dimer = ani1x.sample("O.CO", 1, frames=12)
    assert dimer.forces.shape == (len(dimer.energy), 9, 3)
    assert dimer.numbers.tolist() == sorted(dimer.numbers)
    assert dimer.energy.std() > 0


def test_filter_refuses_fused_and_dissociated():
    rng = np.random.default_rng(0)
    molecule = sampling.embed("CCO", rng)
    accept, x = GeometryFilter(molecule), sampling.get_positions(molecule)
    assert accept.accepts(x)
    for factor in (0.6, 1.6):
        assert not accept.accepts(factor * x)
    broken = x.copy()
    broken[0, 0] = np.nan
    assert not accept.accepts(broken)


def test_implausible_labels_are_dropped():
    forces = np.zeros((4, 3, 3))
    forces[3, 0, 0] = 1e4
    keep = plausible(np.array([0.0, 5.0, 900.0, 1.0]), forces)
    assert keep.tolist() == [True, True, False, False]


def test_normal_modes_of_water():
    """GFN2-xTB's harmonic wavenumbers: one bend and two stretches (here 1539, 3642 and 3651 cm⁻¹)."""
    molecule = sampling.embed("O", np.random.default_rng(0))
    numbers = sampling.numbers_of(molecule)
    x = xtb.relax(numbers, sampling.get_positions(molecule))
    wavenumbers, modes = normal_modes.normal_modes(xtb.hessian(numbers, x) * HARTREE, x, sampling.masses(molecule))
    assert modes.shape == (3, 3, 3)
    assert 1450 < wavenumbers[0] < 1650
    assert (wavenumbers[1:] > 3500).all()
    assert (wavenumbers[1:] < 3800).all()


def springs(x: np.ndarray) -> np.ndarray:
    """The Hessian (3N, 3N) of springs of 300 kcal/mol/Å² between all atoms, at their rest lengths ``x`` (N, 3)."""
    n = len(x)
    hessian = np.zeros((n, 3, n, 3))
    for i in range(n):
        for j in range(i):
            direction = (x[i] - x[j]) / np.linalg.norm(x[i] - x[j])
            block = 300 * np.outer(direction, direction)
            for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
                hessian[a, :, b] += sign * block
    return hessian.reshape(3 * n, 3 * n)


@pytest.mark.parametrize("x", [np.random.default_rng(3).normal(size=(5, 3)), np.outer([0, 1.2, 2.4], [1, 2, 2]) / 3])
def test_normal_modes_are_all_but_the_rigid_ones(x):
    """3N - 6 modes, or 3N - 5 of a linear molecule, that neither move the centre of mass nor turn the molecule."""
    mass = np.array([12.0, 1.0, 16.0, 1.0, 14.0])[: len(x)]
    _, modes = normal_modes.normal_modes(springs(x), x, mass)
    assert len(modes) == 3 * len(x) - (5 if len(x) == 3 else 6)
    weighted = modes * mass[:, None]
    np.testing.assert_allclose(weighted.sum(1), 0, atol=1e-8)
    np.testing.assert_allclose(np.cross(x - np.average(x, axis=0, weights=mass), weighted).sum(1), 0, atol=1e-8)


def test_harmonic_samples_have_the_temperature():
    """Equipartition: each mode holds k_B T / 2 on average."""
    rng = np.random.default_rng(0)
    x, mass = rng.normal(size=(5, 3)), np.array([12.0, 1.0, 16.0, 1.0, 14.0])
    wavenumbers, modes = normal_modes.normal_modes(springs(x), x, mass)
    assert wavenumbers.min() > sampling.SOFTEST
    drawn = sampling.sample_normal_modes(x, wavenumbers, modes, np.full(20_000, 500.0), rng) - x
    energy = 0.5 * np.einsum("mi,ij,mj->m", drawn.reshape(-1, 15), springs(x), drawn.reshape(-1, 15)).mean()
    assert energy == pytest.approx(9 / 2 * 0.0019872 * 500, rel=0.02)


def test_the_parts_of_a_dimer_feel_each_other():
    rng = np.random.default_rng(0)
    molecule = sampling.embed("O.CO", rng)
    first = list(Chem.GetMolFrags(molecule)[0])
    x = sampling.get_positions(molecule)
    x[first] += 0.3
    pull = sampling.mmff_forces(molecule)(x)[first].sum(0)
    assert np.linalg.norm(pull) > 0.1


def test_reference_energies_are_tblites(tmp_path):
    write_reference_energies(tmp_path / "again.csv")
    again = np.genfromtxt(tmp_path / "again.csv", delimiter=",", skip_header=1)[:, -1]
    kept = np.genfromtxt(MINI / "reference_energies.csv", delimiter=",", skip_header=1)[:, -1]
    np.testing.assert_allclose(again, kept, atol=1e-7)
    values = reference_energies("GFN2-xTB", np.array([10, 3, 17, 21])) / HARTREE
    np.testing.assert_allclose(values, [-0.393483, -1.793296, -2.605824, -3.767607], atol=1e-6)


def test_iso17_has_known_and_unknown_isomers():
    """At least 24 isomers of C7O2H10, 80 % of them known; ids divide the rows of reference.db."""
    smiles = sampling.read_molecules(iso17.MOLECULES)
    assert len({Chem.CanonSmiles(s) for s in smiles}) == len(smiles) >= 24
    assert {CalcMolFormula(Chem.MolFromSmiles(s)) for s in smiles} == {"C7H10O2"}
    parts = {part: list(READERS["iso17"](MINI / "iso17", parts=[part])) for part in data_readers_iso17.PARTS}
    counts = {part: sum(len(m.energy) for m in found) for part, found in parts.items()}
    assert sum(counts.values()) >= 12_000
    assert counts["test_other"] / sum(counts.values()) == pytest.approx(0.2, abs=0.03)
    assert counts["test_within"] / (counts["reference"] + counts["test_within"]) == pytest.approx(0.2, abs=0.03)
    ids = np.concatenate(list(data_readers_iso17.published_ids(MINI / "iso17").values()))
    assert sorted(ids) == list(range(1, counts["reference"] + 1))


def test_a_seed_makes_an_isomer_of_iso17_again():
    smiles = sampling.read_molecules(iso17.MOLECULES)[1]
    again, twice = (iso17.sample(smiles, molecule_seed(SEED, 1), frames=4) for _ in range(2))
    np.testing.assert_array_equal(again.energy, twice.energy)


def test_the_example_is_in_no_other_data_set():
    (smiles,) = sampling.read_molecules(example.MOLECULES)
    others = [line.split()[0] for path in example.MOLECULES.parent.glob("*.smi") if path != example.MOLECULES
              for line in sampling.read_lines(path)]  # fmt: skip
    known = {Chem.CanonSmiles(part) for other in others for part in other.split(".")}
    assert Chem.CanonSmiles(smiles) not in known
    assert len(known) > 300
    (molecule,) = read("example")
    assert sorted(molecule.z) == sorted(sampling.numbers_of(Chem.AddHs(Chem.MolFromSmiles(smiles))))
    assert len(molecule.energy) >= 500


def subsets() -> dict[str, set[str]]:
    """The species of mini SPICE by subset."""
    kinds = [kind.subset for kind in spice.KINDS.values()]
    return {kind: {m.name for m in READERS["spice"](MINI / "spice", subsets=[kind])} for kind in kinds}


def both(heavy=9):
    """Relaxed and displaced conformations of the same molecules, up to ``heavy`` heavy atoms, formula by formula."""
    files = (READERS["ani1x"](MINI / "relaxed" / f"{name}.h5") for name in ("more", "more_shaken"))
    return [pair for pair in zip(*files, strict=True) if (pair[0].z > 1).sum() <= heavy]


def test_more_molecules_are_new_and_no_larger_than_those_of_ani1():
    smiles = sampling.read_molecules(relaxed.MOLECULES)
    assert len(set(smiles)) == len(smiles) == grow.NUMBER
    assert not set(smiles) & {Chem.CanonSmiles(s) for s in relaxed.suite()}
    assert {Chem.CanonSmiles(s) for s in smiles[::100]} == set(smiles[::100])
    assert max(Chem.MolFromSmiles(s).GetNumHeavyAtoms() for s in smiles) == grow.LARGEST
    assert set(smiles[:20]) <= set(grow.candidates())


def test_relaxed_geometries_are_minima_and_the_displaced_ones_lie_above_them():
    assert sum(len(rest.energy) for rest, _ in both()) == grow.NUMBER
    for rest, displaced in both():
        np.testing.assert_array_equal(rest.z, displaced.z)
        assert (displaced.energy > rest.energy).all()
    for rest, _ in both(heavy=3):
        label = xtb.single_point(rest.z, rest.positions[0].astype(float))
        assert np.abs(label.forces).max() < 5e-3  # Hartree/Å; relaxed to 2e-3, then rounded
    ours = list(READERS["ani1x"](MINI / "relaxed" / "suite.h5"))
    assert sum(len(m.energy) for m in ours) == len(relaxed.suite())


def test_a_seed_relaxes_a_molecule_again():
    smiles = next(s for s in sampling.read_molecules(relaxed.MOLECULES) if Chem.MolFromSmiles(s).GetNumHeavyAtoms() < 4)
    again = relaxed.sample(smiles, SEED)
    known = [energy for pair in both(heavy=3) for energy in zip(*(m.energy / HARTREE for m in pair), strict=True)]
    assert min(np.abs(np.array(known) - again.energy).max(1)) < 1e-5


def test_spice_has_its_character():
    """150 species in five classes, 15 elements, charges, several conformations of each, 10,000 in all."""
    molecules = list(READERS["spice"](MINI / "spice"))
    assert len(molecules) >= 150
    assert sum(len(m.energy) for m in molecules) >= 10_000
    assert min(len(m.energy) for m in molecules) >= 10
    assert {int(z) for m in molecules for z in m.z} == {1, 3, 6, 7, 8, 9, 11, 12, 15, 16, 17, 19, 20, 35, 53}
    assert {-2, -1, 0, 1, 2} == {int(m.charges.sum()) for m in molecules}
    assert [len(members) for members in subsets().values()] == [62, 50, 24, 12, 28]


def test_spice_species_are_what_their_class_says():
    found = subsets()
    for name in found["mini SPICE PubChem"]:
        molecule = Chem.MolFromSmiles(name)
        assert molecule.GetNumHeavyAtoms() >= 12
    elements = {a.GetSymbol() for n in found["mini SPICE PubChem"] for a in Chem.MolFromSmiles(n).GetAtoms()}
    assert elements == {"C", "N", "O", "F", "P", "S", "Cl", "Br", "I"}
    assert all(name.count(".") == 1 for name in found["mini SPICE DES370K"] | found["mini SPICE Ion Pairs"])
    assert all(name.split(".").count("O") >= 8 for name in found["mini SPICE Solvated Amino Acids"])
    assert all(Chem.MolFromSmiles(name).GetNumBonds() == 0 for name in found["mini SPICE Ion Pairs"])
    dipeptide = Chem.MolFromSmarts("CC(=O)NCC(=O)NCC(=O)NC")
    assert all(Chem.MolFromSmiles(name).HasSubstructMatch(dipeptide) for name in found["mini SPICE Dipeptides"])


def test_spice_mapped_smiles_have_another_order():
    """Reading types off the SMILES as written, as the released code does, gives wrong elements for most species."""
    with h5py.File(MINI / "spice" / "mini-spice.hdf5") as file:
        wrong = 0
        for group in file.values():
            options = Chem.SmilesParserParams()
            options.removeHs = False
            written = Chem.MolFromSmiles(group["smiles"][0].decode(), options)
            wrong += [a.GetAtomicNum() for a in written.GetAtoms()] != group["atomic_numbers"][()].tolist()
        assert wrong >= 0.5 * len(file)


def test_a_seed_makes_a_species_of_spice_again():
    line = sampling.read_lines(spice.MOLECULES)[64]
    again, twice = (spice.sample(line, 1) for _ in range(2))
    np.testing.assert_array_equal(again.energy, twice.energy)
    np.testing.assert_array_equal(again.positions, twice.positions)


def test_parts_are_placed_apart():
    molecule = sampling.embed("CO.O.O.O.O", np.random.default_rng(0))
    gaps = md22.contacts(molecule, sampling.get_positions(molecule))
    assert len(gaps) == 5
    assert gaps.min() > 1.5
    assert gaps.max() < 4.0


def test_complexes_are_built_with_their_atoms():
    pair = assemblies.base_pair("CG", 0)
    assert CalcMolFormula(pair) == "C9H10N8O2"
    x, (first, second) = sampling.get_positions(pair), (list(atoms) for atoms in Chem.GetMolFrags(pair))
    near = np.linalg.norm(x[first][:, None] - x[second][None], axis=-1)
    heavy = sampling.numbers_of(pair) > 1
    assert (near[heavy[first]][:, heavy[second]] < 3.1).sum() >= 3  # three hydrogen bonds
    numbers, positions = assemblies.capped_tube(3, 17)
    assert np.bincount(numbers)[[1, 6]].tolist() == [12, 102]
    assert np.linalg.norm(positions[:102, :2], axis=1).std() < 1e-6
    assert CalcMolFormula(Chem.MolFromSmiles(assemblies.CATCHER)) == "C60H28"


def test_md22_has_the_seven_systems():
    """By name, with the published numbers of atoms, enough frames, one temperature each, energies in float64."""
    least = {"Ac-Ala3-NHMe": 2000, "DHA": 1500, "stachyose": 1000, "AT-AT": 1500, "AT-AT-CG-CG": 700,
             "buckyball-catcher": 800, "double-walled_nanotube": 500}  # fmt: skip
    molecules = {m.name: m for m in READERS["md22"](MINI / "md22")}
    published = pd.read_csv(DATA / "paper" / "md22.csv").set_index("system")
    assert set(molecules) == set(least) == set(published.index) == set(md22.SYSTEMS)
    for name, molecule in molecules.items():
        assert len(molecule.energy) >= least[name]
        assert len(molecule.z) == published.loc[name, "atoms"]
        assert len(np.unique(molecule.energy)) == len(molecule.energy)  # no frame is repeated
        with np.load(MINI / "md22" / f"md22_{name}.npz") as file:
            assert float(file["temperature"]) == md22.SYSTEMS[name].temperature
            assert (file["E"].dtype, file["R"].dtype, file["F"].dtype) == (np.float64, np.float32, np.float32)


@pytest.mark.parametrize(("name", "parts"), [("AT-AT", 4), ("AT-AT-CG-CG", 8), ("buckyball-catcher", 2),
                                             ("double-walled_nanotube", 2), ("DHA", 1)])  # fmt: skip
def test_md22_complexes_are_bound(name, parts):
    """As many parts at the end as at the start, none of them ever far from the others."""
    store = open_store(find(f"mini/md22/{name}"))
    ends = store.gather(np.array([0, len(store) - 1])).positions.reshape(2, -1, 3)
    assert [bonds.parts_of(store.arrays["z"], x).max() + 1 for x in ends] == [parts, parts]
    found = data_overview.contacts(store, 40)
    assert len(found) == (parts if parts > 1 else 0)
    assert parts == 1 or found["largest"].max() <= md22.FARTHEST


def test_a_part_that_leaves_is_refused(monkeypatch):
    """Two waters that start 30 Å apart are not bound."""

    def apart(seed):
        molecule = sampling.embed("O.O", np.random.default_rng(seed))
        x = sampling.get_positions(molecule)
        second = list(Chem.GetMolFrags(molecule)[1])
        x[second] += 30.0
        sampling.set_positions(molecule, x)
        return molecule

    monkeypatch.setitem(md22.SYSTEMS, "waters", md22.System("waters", 6, 3, 300.0, apart))
    with pytest.raises(ValueError, match="a part is"):
        md22.trajectory("waters", 0)


def test_labels_are_kept_and_found_again(monkeypatch, tmp_path):
    """A run that was stopped goes on: a block that was labelled is read, not computed."""
    monkeypatch.setattr(md22, "CACHE", tmp_path)
    monkeypatch.setitem(md22.SYSTEMS, "water", md22.System("water", 3, 4, 300.0, md22.from_smiles("O")))
    z, x = md22.trajectory("water", 0)
    first = md22.label_block("water", z, x)
    monkeypatch.setattr(md22, "label_frames", None)
    again = md22.label_block("water", z, x)
    np.testing.assert_array_equal(first.energy, again.energy)
    np.testing.assert_array_equal(first.forces, again.forces)
    md22.write([first], tmp_path, {"about": "a test"})
    (molecule,) = READERS["md22"](tmp_path / "md22_water.npz")
    np.testing.assert_allclose(molecule.energy, first.energy * HARTREE)
    np.testing.assert_allclose(molecule.forces, first.forces * HARTREE, atol=md22.FORCE_GRID)
