"""Mini ISO17: MMFF94 dynamics of C7O2H10 isomers at 500 K, labelled by GFN2-xTB, as ``iso17.tar.gz`` of ASE databases.

As in the published archive, ``reference.db`` holds 80 % of the frames of the known molecules (its rows are divided
by ``train_ids.txt``, ``validation_ids.txt``, ``test_ids.txt``), ``test_within.db`` the other frames of the known
molecules, ``test_other.db`` the unknown molecules. Known are the first 80 % of the list of isomers.
"""

import gzip
import sqlite3
import tarfile
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.db import connect

from lib.chemistry.xtb import on_grid
from lib.mini_suite import sampling
from lib.mini_suite.filters import GeometryFilter
from lib.mini_suite.frames import Frames, label_frames
from lib.units import EV, HARTREE

MOLECULES = Path(__file__).parent / "molecules" / "iso17.smi"
FRAMES = 190  # drawn per molecule, before the filter
TEMPERATURE = 500.0  # K
KNOWN = 0.8  # of the molecules, and of a known molecule's frames for reference.db
FORCE_GRID = 2.0**-11  # eV/Å (0.011 kcal/mol/Å)
SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}  # of the rows of reference.db


def sample(smiles: str, seed: int, frames: int = FRAMES) -> Frames:
    """Labelled frames of one trajectory, 50 fs from one to the next, the first 0.5 ps left out."""
    rng = np.random.default_rng(seed)
    molecule = sampling.embed(smiles, rng)
    accept = GeometryFilter(molecule)
    numbers = sampling.numbers_of(molecule)
    walk = islice(sampling.dynamics(molecule, TEMPERATURE, rng), 10, 10 + frames)
    return label_frames(smiles, numbers, [x for x in walk if accept.accepts(x)])


def write(all_frames: Sequence[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write ``iso17.tar.gz``: rows shuffled, no dates or random identifiers, so the same bytes for the same frames."""
    rng = np.random.default_rng(17)
    known = round(KNOWN * len(all_frames))
    parts: dict[str, list[tuple[Frames, int]]] = {"reference": [], "test_within": [], "test_other": []}
    for molecule, frames in enumerate(all_frames):
        for k in range(len(frames.energy)):
            held = "reference" if rng.random() < KNOWN else "test_within"
            parts[held if molecule < known else "test_other"].append((frames, k))
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for name, rows in parts.items():
            _write_database(place / f"{name}.db", [rows[i] for i in rng.permutation(len(rows))], attributes)
        ids = 1 + rng.permutation(len(parts["reference"]))
        cuts = np.cumsum([round(share * len(ids)) for share in SHARES.values()])[:-1]
        for name, chosen in zip(SHARES, np.split(ids, cuts), strict=True):
            lines = "".join(f"{i}\n" for i in sorted(chosen))
            (place / f"{name}_ids.txt").write_text(lines, encoding="utf-8")
        _pack(place, folder / "iso17.tar.gz")


def _write_database(path: Path, rows: Sequence[tuple[Frames, int]], attributes: dict[str, str]) -> None:
    with connect(path) as database:
        for frames, k in rows:
            atoms = Atoms(frames.numbers, positions=frames.positions[k])
            forces = on_grid(frames.forces[k] * HARTREE / EV, FORCE_GRID)
            database.write(atoms, total_energy=frames.energy[k] * HARTREE / EV, data={"atomic_forces": forces})
    connect(path).metadata = attributes
    opened = sqlite3.connect(path, isolation_level=None)
    opened.execute("UPDATE systems SET unique_id = printf('%032x', id), ctime = 0, mtime = 0, username = ''")
    opened.execute("VACUUM")
    opened.close()


def _pack(place: Path, archive: Path) -> None:
    with (
        open(archive, "wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(place.iterdir()):
            member = tarfile.TarInfo(f"iso17/{path.name}")
            member.size = path.stat().st_size
            with open(path, "rb") as content:
                tar.addfile(member, content)
