"""Files of the published data sets' layouts and sizes, with arbitrary numbers in them.

The sizes are those of the publications (`CONFORMATIONS`); how many conformations and atoms each molecule has is made
up. Atoms stand about as densely as in molecules, so that neighbour pairs are as many; each molecule has `FRAMES`
different conformations, which repeat.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import h5py
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from lib.bench.rehearsal.iso17 import generate_iso17
from lib.bench.rehearsal.smiles import mapped, molecules
from lib.chemistry.reference_energies import WB97X, usual_energy
from lib.data.datasets import MD22_SYSTEMS, find, open_store
from lib.units import BOHR, HARTREE

FRAMES = 64
SPACING, JITTER = 1.35, 0.1  # Å between atoms, and by which conformations differ
LEVEL = WB97X  # of ANI-1 and ANI-1x, by whose energies files that state no level are told
ANI1_MOLECULES = {1: 3, 2: 13, 3: 20, 4: 61, 5: 267, 6: 1_406, 7: 7_760, 8: 47_932}  # by number of heavy atoms
ANI1_EACH = {1: 3_600, 2: 3_938, 3: 7_560, 4: 10_687, 5: 6_790, 6: 1_196, 7: 887}  # conformations of one; 8: the rest
NOT_COMPUTED = 1000  # one conformation of ANI-1x in so many has no energy, and is left out
MD22_FRAMES = {
    "Ac-Ala3-NHMe": 85_109,
    "DHA": 69_753,
    "stachyose": 27_272,
    "AT-AT": 20_001,
    "AT-AT-CG-CG": 10_153,
    "buckyball-catcher": 6_102,
    "double-walled_nanotube": 5_032,
}


SPICE_MOLECULES = 19_238
CONFORMATIONS = {
    "ani1": 22_057_374,
    "ani1x": 4_956_005,
    "spice": 1_132_808,
    "md22": sum(MD22_FRAMES.values()),
    "iso17": 645_000,
}


def generate(name: str, folder: Path, share: float) -> None:
    """Write the files of the data set ``name`` into ``folder``, with a ``share`` of its molecules and conformations."""
    folder.mkdir(parents=True, exist_ok=True)
    GENERATORS[name](folder, share)


def scaled(number: int, share: float) -> int:
    """``share`` of a ``number``, at least 1."""
    return max(1, round(share * number))


def frames_of(atoms: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """`FRAMES` conformations (FRAMES, atoms, 3) Å around one arrangement."""
    side = math.ceil(atoms ** (1 / 3))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    base = SPACING * rng.permutation(grid)[:atoms]
    return (base + JITTER * rng.standard_normal((FRAMES, atoms, 3), dtype=np.float32)).astype(np.float32)


def repeated(frames: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """``count`` conformations out of ``frames``, in turn."""
    return np.resize(frames, (count, *frames.shape[1:]))


def _ani1(folder: Path, share: float) -> None:
    rng, left = np.random.default_rng(0), scaled(CONFORMATIONS["ani1"], share)
    for heavy, number in ANI1_MOLECULES.items():
        count = scaled(number, share)
        last = heavy == max(ANI1_MOLECULES)
        total = left if last else min(left, scaled(number * ANI1_EACH[heavy], share))
        left -= total
        with h5py.File(folder / f"ani_gdb_s0{heavy}.h5", "w") as file:
            for k in range(count):
                atoms = heavy + int(rng.integers(1, 2 * heavy + 3))
                z = np.sort(np.concatenate([rng.choice([6, 7, 8], heavy, p=[0.7, 0.15, 0.15]),
                                            np.ones(atoms - heavy, int)]))[::-1]  # fmt: skip
                conformations = max(1, total // count + (k < total % count))
                group = file.create_group(f"gdb11_s0{heavy}/gdb11_s0{heavy}-{k}")
                group["coordinates"] = repeated(frames_of(atoms, rng), conformations)
                group["energies"] = _energies(z, conformations, rng)
                group["species"] = np.array([b" HHHHHCNO"[n : n + 1] if n > 1 else b"H" for n in z])


def _energies(z: NDArray[np.integer], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Energies (count,) in Hartree near those of `LEVEL`."""
    usual = usual_energy(LEVEL, z)
    return (usual or 0.0) / HARTREE + 0.01 * rng.standard_normal(count)


def formulas() -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Different formulas of C, H, N and O with their atomic numbers, the largest of 63 atoms."""
    for carbons, nitrogens, oxygens in product(range(1, 9), range(5), range(5)):
        saturated = 2 * carbons + nitrogens + 2
        for hydrogens in range(max(1, saturated - 24), saturated + 1, 2):
            name = f"C{carbons}H{hydrogens}" + (f"N{nitrogens}" if nitrogens else "") + (
                f"O{oxygens}" if oxygens else "")  # fmt: skip
            yield name, np.repeat([1, 6, 7, 8], [hydrogens, carbons, nitrogens, oxygens])
    yield "C20H40N2O", np.repeat([1, 6, 7, 8], [40, 20, 2, 1])


def _ani1x(folder: Path, share: float) -> None:
    rng, every = np.random.default_rng(1), list(formulas())
    known = [every[k] for k in rng.permutation(len(every))[: scaled(len(every), share)]]
    weights = rng.exponential(size=len(known)) ** 2  # few formulas have many
    numbers = np.maximum(1, scaled(CONFORMATIONS["ani1x"], share) * weights / weights.sum()).round().astype(int)
    with h5py.File(folder / "ani1x-release.h5", "w") as file:
        for (name, z), conformations in zip(known, numbers, strict=True):
            group = file.create_group(name)
            count = int(conformations + conformations // NOT_COMPUTED)
            energy = _energies(z, count, rng)
            energy[conformations:] = np.nan
            group["atomic_numbers"] = z.astype("u1")
            group["coordinates"] = repeated(frames_of(len(z), rng), count)
            group["wb97x_dz.energy"] = energy
            group["wb97x_dz.forces"] = repeated(0.01 * frames_of(len(z), rng), count)


def _spice(folder: Path, share: float) -> None:
    rng = np.random.default_rng(2)
    count, total = scaled(SPICE_MOLECULES, share), scaled(CONFORMATIONS["spice"], share)
    with h5py.File(folder / "SPICE-1.1.2.hdf5", "w") as file:
        for k, smiles in zip(range(count), molecules(), strict=False):
            text, z = mapped(smiles)
            conformations = total // count + (k < total % count)
            group = file.create_group(smiles.replace("/", "_"))
            group["atomic_numbers"] = z.astype("i2")
            group["conformations"] = repeated(frames_of(len(z), rng) / np.float32(BOHR), conformations)
            formation = -0.2 * len(z) + 0.01 * rng.standard_normal(conformations)
            group["formation_energy"] = formation
            group["dft_total_energy"] = formation + _free_atoms(z)
            group["dft_total_gradient"] = repeated(0.01 * frames_of(len(z), rng), conformations)
            group["smiles"], group["subset"] = [text], ["rehearsal"]


def _free_atoms(z: NDArray[np.integer]) -> float:
    """About the energy of free atoms, Hartree: right for H, C, N and O, which the reader looks at."""
    known = {1: -0.5, 6: -37.83, 7: -54.57, 8: -75.04}
    return float(sum(known.get(int(n), -1.0) for n in z))


def _md22(folder: Path, share: float) -> None:
    rng, mini = np.random.default_rng(3), open_store(find("mini/md22"))
    for system in MD22_SYSTEMS:
        molecule, count = mini.names.index(system), max(20, scaled(MD22_FRAMES[system], share))
        start = mini.gather(mini.conformations_of(molecule)[:1]).positions.astype(np.float64)
        noise = JITTER * rng.standard_normal((FRAMES, *start.shape))
        np.savez(
            folder / f"md22_{system}.npz",
            R=np.resize(start + noise, (count, *start.shape)),
            E=-500_000 + 5 * rng.standard_normal((count, 1)),
            F=np.resize(20 * noise, (count, *start.shape)),
            z=mini.arrays["z"][mini.atoms_of(molecule)],
            theory=np.array(b"PBE+MBD"),
        )


def _iso17(folder: Path, share: float) -> None:
    z = [atomic_numbers[symbol] for symbol in "C" * 7 + "O" * 2 + "H" * 10]
    generate_iso17(folder, z, frames_of(len(z), np.random.default_rng(4)), scaled(CONFORMATIONS["iso17"], share))


GENERATORS: dict[str, Callable[[Path, float], None]] = {
    "ani1": _ani1,
    "ani1x": _ani1x,
    "spice": _spice,
    "md22": _md22,
    "iso17": _iso17,
}
