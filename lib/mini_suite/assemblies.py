"""Start geometries of MD22's complexes, which no distance geometry finds: stacked base pairs, catcher, nanotubes.

Every function returns an RDKit molecule with hydrogens, bonds and one conformer (Å). The parts lie where they attract
each other; `md22` relaxes them and shows that dynamics keeps them together.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import product

import numpy as np
from ase.build import molecule as ase_molecule
from ase.build import nanotube
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from scipy.optimize import minimize

from lib.mini_suite.sampling import get_positions, numbers_of, set_positions

Array = NDArray[np.float64]
BASES = {  # atoms of one map number are hydrogen-bonded in the Watson-Crick pair
    "A": "[NH2:1]c1[n:2]cnc2[nH]cnc12",
    "T": "Cc1c[nH]c(=O)[nH:2]c1=[O:1]",
    "C": "[NH2:1]c1cc[nH]c(=[O:3])[n:2]1",
    "G": "[NH2:3]c1nc2[nH]cnc2c(=[O:1])[nH:2]1",
}
HYDROGEN_BOND = 2.9  # Å between its heavy atoms
RISE, TWIST = 3.4, np.pi / 5  # Å and rad from one base pair to the next, as in B-DNA
CH = 1.09  # Å
CONTACT = 6.9  # Å from a bowl's hub to the centre of C60
TUBES = ((3, 17), (8, 14))  # (n, n) armchair tubes and their layers of 2n carbons: C326H44
CORANNULENE = "c%20cc{a}c(cc%20{rest})c2ccc3ccc4ccc5ccc{a}c%22c2c3c4c5%22"  # fused to a benzene ring, which goes on
CATCHER = "c1%40ccccc1-" + CORANNULENE.format(
    a="%21", rest="-c6ccccc6-" + CORANNULENE.format(a="%31", rest="-%40")
)  # C60H28: two corannulenes on a tetrabenzocyclooctatetraene (Sygula 2007, https://doi.org/10.1021/ja070616p)


def embedded(smiles: str, seed: int) -> Chem.Mol:
    """One MMFF94-relaxed conformer of ``smiles`` with hydrogens."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(molecule, randomSeed=seed)
    rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=2000)
    return molecule


def joined(parts: Sequence[tuple[Chem.Mol, Array]]) -> Chem.Mol:
    """One molecule of several, each at its positions (N, 3) Å."""
    whole = reduce(Chem.CombineMols, [part for part, _ in parts])
    set_positions(whole, np.concatenate([x for _, x in parts]))
    Chem.FastFindRings(whole)
    return whole


def flat_positions(molecule: Chem.Mol) -> Array:
    """A planar molecule's positions (N, 3) Å in the xy plane, its centre at the origin."""
    x = get_positions(molecule)
    x -= x.mean(0)
    return x @ np.linalg.svd(x, full_matrices=False)[2].T


def in_plane(x: Array, angle: float, shift: Sequence[float], flip: float = 1.0) -> Array:
    """``x`` (N, 3) turned over where ``flip`` is -1, turned about z by ``angle`` rad, moved by ``shift`` (3,) Å."""
    c, s = np.cos(angle), np.sin(angle)
    return (x * [1, flip, flip]) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + np.asarray(shift)


def base_pair(letters: str, seed: int) -> Chem.Mol:
    """A Watson-Crick pair of two `BASES`, flat in the xy plane: the placement with the best hydrogen bonds."""
    first, second = (embedded(BASES[letter], seed) for letter in letters)
    x, y = flat_positions(first), flat_positions(second)
    maps = [{a.GetAtomMapNum(): a.GetIdx() for a in m.GetAtoms()} for m in (first, second)]
    bonds = [(maps[0][k], maps[1][k]) for k in maps[0].keys() & maps[1].keys() if k]

    def misfit(p: Array, flip: float) -> float:
        """How far hydrogen bonds are from their length, and atoms too near, for the placement ``p`` (angle, x, y)."""
        distance = np.linalg.norm(x[:, None] - in_plane(y, p[0], [p[1], p[2], 0], flip)[None], axis=-1)
        wanted = np.array([distance[bond] for bond in bonds])
        return float(((wanted - HYDROGEN_BOND) ** 2).sum() + (np.maximum(0, 1.8 - distance) ** 2).sum())

    around = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    tried = [
        (minimize(misfit, [a, 8 * np.cos(b), 8 * np.sin(b)], args=(flip,), method="Nelder-Mead"), flip)
        for a, b, flip in product(around, around, (1.0, -1.0))
    ]
    best, flip = min(tried, key=lambda one: one[0].fun)
    return joined([(first, x), (second, in_plane(y, best.x[0], [best.x[1], best.x[2], 0], flip))])


def stacked(pairs: Sequence[str], seed: int) -> Chem.Mol:
    """Base pairs on top of each other, `RISE` and `TWIST` from one to the next."""
    made = [base_pair(letters, seed) for letters in pairs]
    placed = []
    for k, pair in enumerate(made):
        x = get_positions(pair)
        placed.append((pair, in_plane(x - x.mean(0), k * TWIST, [0, 0, k * RISE])))
    return joined(placed)


def carbon_network(numbers: NDArray[np.int64], positions: Array) -> Chem.Mol:
    """A molecule of sp² carbon and hydrogen with the bonds that its distances say, for a force field.

    Args:
        numbers: (N,) atomic numbers, 1 or 6.
        positions: (N, 3) Å.
    """
    molecule = Chem.RWMol()
    for number in numbers:
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        atom.SetHybridization(Chem.HybridizationType.SP2 if number == 6 else Chem.HybridizationType.S)
        atom.SetIsAromatic(bool(number == 6))
        molecule.AddAtom(atom)
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    longest = np.where(numbers == 6, 0.85, 0.45)
    for i, j in np.argwhere(np.triu(distance < longest[:, None] + longest[None], 1)).tolist():
        both = numbers[i] == numbers[j] == 6
        molecule.AddBond(i, j, Chem.BondType.AROMATIC if both else Chem.BondType.SINGLE)
    molecule.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(molecule)
    molecule.AddConformer(Chem.Conformer(len(numbers)))
    set_positions(molecule, positions)
    return molecule.GetMol()


def capped_tube(n: int, layers: int) -> tuple[NDArray[np.int64], Array]:
    """An (n, n) armchair nanotube of ``layers`` rings of 2n carbons along z, its ends capped with hydrogen.

    Returns:
        Atomic numbers (N,) and positions (N, 3) Å.
    """
    tube = nanotube(n, n, length=layers // 2 + 1)
    tube.positions[:, 2] += 0.3  # off the cell's border, so that wrapping is safe
    tube.wrap()
    layer = np.round((tube.positions[:, 2] - 0.3) / (tube.cell[2, 2] / (2 * (layers // 2 + 1)))).astype(int)
    x = tube.positions[layer < layers] - tube.positions[layer < layers].mean(0)
    bonded = np.linalg.norm(x[:, None] - x[None], axis=-1) < 1.6
    np.fill_diagonal(bonded, False)
    outward = [-(x[bonded[i]] - x[i]).sum(0) for i in np.flatnonzero(bonded.sum(1) == 2)]
    ends = x[bonded.sum(1) == 2] + [CH * v / np.linalg.norm(v) for v in outward]
    return np.repeat([6, 1], [len(x), len(ends)]), np.concatenate([x, ends])


def double_walled_nanotube(seed: int = 0) -> Chem.Mol:
    """The two tubes of `TUBES`, one in the other."""
    numbers, positions = zip(*[capped_tube(n, layers) for n, layers in TUBES], strict=True)
    return carbon_network(np.concatenate(numbers), np.concatenate(positions))


def relax_uff(molecule: Chem.Mol) -> float:
    """Relax with UFF, parts attracting each other; the energy reached in kcal/mol."""
    field = rdForceFieldHelpers.UFFGetMoleculeForceField(molecule, ignoreInterfragInteractions=False)
    field.Minimize(maxIts=5000)
    return float(field.CalcEnergy())


def buckyball_catcher(seed: int, tries: int = 8) -> Chem.Mol:
    """C60 between the two bowls of the catcher: of several embeddings of the catcher the lowest in UFF's energy.

    Raises:
        ValueError: no embedding holds the ball, each bowl's hub at most 8 Å from its centre.
    """
    ball = ase_molecule("C60")
    catcher = Chem.AddHs(Chem.MolFromSmiles(CATCHER))
    bowls = np.array(catcher.GetSubstructMatches(Chem.MolFromSmiles("c1cc2ccc3ccc4ccc5ccc1c1c2c3c4c51")))
    found = []
    for k in range(tries):
        rdDistGeom.EmbedMolecule(catcher, randomSeed=seed + k)
        alone = carbon_network(numbers_of(catcher), get_positions(catcher))
        relax_uff(alone)
        x = get_positions(alone)
        hubs, rims = x[bowls[:, 15:]].mean(1), x[bowls[:, :15]].mean(1)
        middle = np.mean(hubs + CONTACT * (rims - hubs) / np.linalg.norm(rims - hubs, axis=1, keepdims=True), axis=0)
        outward = (middle - x.mean(0)) / np.linalg.norm(middle - x.mean(0))
        places = [middle + s * outward + ball.positions for s in np.arange(-10, 20, 0.25)]
        free = [np.linalg.norm(x[:, None] - place[None], axis=-1).min() > 3.0 for place in places]
        start = places[int(np.flatnonzero(~np.array(free)).max(initial=-1)) + 1]
        parts = [(alone, x), (carbon_network(ball.numbers, ball.positions), start)]
        whole = joined(parts)
        energy = relax_uff(whole)
        y = get_positions(whole)
        away = np.linalg.norm(y[bowls[:, 15:]].mean(1) - y[len(x) :].mean(0), axis=1)
        if away.max() < 8.0:
            found.append((energy, k, whole))
    if not found:
        raise ValueError(f"no embedding of the catcher from seed {seed} holds C60: take another seed")
    return min(found)[2]
