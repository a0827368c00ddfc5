"""Small valid files of every reader, made here, for tests that break them."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from lib.data.readers import READERS
from lib.data.readers.molecule import Molecule
from lib.units import HARTREE

LEVEL = "GFN2-xTB"
SHAPE = np.array([[0.0, 0.1, 0.2], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.1]])  # of water, Å
FREE = -3.767606952079 - 2 * 0.393482763932  # Hartree, of its atoms


def waters(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (n, 3, 3) Å, energies (n,) Hartree and forces (n, 3, 3) Hartree/Å of a harmonic water."""
    moves = 0.05 * np.random.default_rng(seed).normal(size=(n, 3, 3))
    return SHAPE + moves, FREE - 0.3 + 0.5 * np.square(moves).sum((1, 2)), -moves


def ani1(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["level_of_theory"] = LEVEL
        for k in range(6):
            x, energy, _ = waters(5 + k, k)
            group = file.create_group(f"gdb11_s01/gdb11_s01-{k}")
            group.create_dataset("coordinates", data=x.astype("f4"), compression="gzip")
            group["energies"], group["species"] = energy, np.array([b"O", b"H", b"H"])
    return path


def ani1x(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for k in range(6):
            x, energy, forces = waters(5 + k, k)
            group = file.create_group(f"H2O{k}")
            group["atomic_numbers"], group["coordinates"] = np.array([8, 1, 1], "u1"), x.astype("f4")
            group["gfn2_xtb.energy"], group["gfn2_xtb.forces"] = energy, forces.astype("f4")
    return path


def spice(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["level_of_theory"] = LEVEL
        for k in range(4):
            x, energy, forces = waters(5 + k, k)
            group = file.create_group(f"water{k}")
            group["atomic_numbers"], group["subset"] = np.array([8, 1, 1], "i2"), [b"waters"]
            group["smiles"], group["conformations"] = [b"[O:1]([H:2])[H:3]"], (x / 0.529177).astype("f4")
            group["dft_total_energy"], group["formation_energy"] = energy, energy - FREE
            group["dft_total_gradient"] = (-forces * 0.529177).astype("f4")
    return path


def frames(n: int = 8, seed: int = 0) -> list[Atoms]:
    """Frames of water with energies (eV) and forces (eV/Å)."""
    out = []
    for x, energy, force in zip(*waters(n, seed), strict=True):
        atoms = Atoms("OHH", positions=x)
        atoms.calc = SinglePointCalculator(atoms, energy=27.2114 * energy, forces=27.2114 * force)
        out.append(atoms)
    return out


def own_npz(path: Path) -> Path:
    """As MD17 and its kin have it, with energies in kcal/mol."""
    x, energy, forces = waters(8, 0)
    np.savez(path, R=x, E=HARTREE * energy, F=HARTREE * forces, z=np.array([8, 1, 1]))
    return path


def own_gz(path: Path) -> Path:
    """Frames of extended xyz, compressed."""
    plain = own(path.with_suffix(""))
    path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()
    return path


def own(path: Path) -> Path:
    if path.suffix == ".db":
        with connect(path) as database:
            for atoms in frames():
                database.write(atoms)
    else:
        write(path, frames(), **({"format": "extxyz"} if path.suffix == ".xyz" else {}))
    return path


def iso17(path: Path) -> Path:
    """One database, or an archive of three."""
    if path.suffix == ".db":
        with connect(path) as database:
            database.metadata = {"level_of_theory": "PBE+vdW-TS"}
            for k, atoms in enumerate(frames()):
                data = {"atomic_forces": atoms.get_forces()}
                order = [0, 1, 2] if k % 2 else [1, 0, 2]
                database.write(atoms[order], total_energy=atoms.get_potential_energy(), data=data)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for part in ("reference", "test_within", "test_other"):
            made = iso17(path.with_name(f"{part}.db"))
            archive.add(made, arcname=f"iso17/{part}.db")
            made.unlink()
    return path


def md22(path: Path) -> Path:
    x, energy, forces = waters(8, 0)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, R=x, E=HARTREE * energy, F=HARTREE * forces, z=np.array([8, 1, 1]), theory="PBE+MBD")
    path.write_bytes(buffer.getvalue())
    return path


def md22_xyz(path: Path) -> Path:
    lines = []
    for x, energy, force in zip(*waters(8, 0), strict=True):
        lines += ["3", f'Properties=species:S:1:pos:R:3:forces:R:3 Energy={energy:.6f} pbc="F F F"']
        lines += [f"{s} " + " ".join(f"{v:.6f}" for v in (*p, *f)) for s, p, f in zip("OHH", x, force, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


SAMPLES: dict[str, tuple[str, Callable[[Path], Path], dict[str, str]]] = {  # file: reader, maker, options
    "ani1.h5": ("ani1", ani1, {}),
    "ani1x.h5": ("ani1x", ani1x, {}),
    "spice.hdf5": ("spice", spice, {}),
    "iso17.db": ("iso17", iso17, {}),
    "iso17.tar.gz": ("iso17", iso17, {}),
    "md22_water.npz": ("md22", md22, {}),
    "md22_water.xyz": ("md22", md22_xyz, {"level": "PBE+MBD"}),
    "own.xyz": ("own", own, {"energy_unit": "eV"}),
    "own.db": ("own", own, {"energy_unit": "eV"}),
    "own.traj": ("own", own, {"energy_unit": "eV"}),
    "own.xyz.gz": ("own", own_gz, {"energy_unit": "eV"}),
    "own.npz": ("own", own_npz, {"energy_unit": "kcal/mol", "energy_key": "E", "forces_key": "F"}),
    "own.h5": ("own", ani1, {"energy_unit": "Hartree"}),
}


def read(name: str, path: Path) -> list[Molecule]:
    """What the reader of the sample called ``name`` finds in ``path``."""
    reader, _, options = SAMPLES[name]
    return list(READERS[reader](path, **options))
