"""ISO17: ASE databases (SQLite) of C7O2H10 isomers.

Layout (http://www.quantum-machine.org/datasets): rows with the key ``total_energy`` (eV) and the data ``atomic_forces``
(N,3) eV/Å, in ``reference.db`` (known molecules), ``test_within.db`` (known, held out) and ``test_other.db`` (unknown);
``train_ids.txt``, ``validation_ids.txt``, ``test_ids.txt`` list rows of ``reference.db`` from 1. Rows do not say which
isomer they are: those of one file whose elements stand in the same order share a `Molecule`. Energies are totals. The
metadata may state ``level_of_theory``; a file that states nothing is at the published PBE+vdW-TS if it has the energies
of C7O2H10 at that level (`checks.recognised`).
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lib.data.readers.archives import unpack
from lib.data.readers.ase_database import metadata, rows
from lib.data.readers.checks import COPY_AGAIN, checked, find_files, near_origin, one_level, recognised, text
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import EV

PUBLISHED_LEVEL = "PBE+vdW-TS"
PARTS = ("reference", "test_within", "test_other")
NO_ISO17 = "is it another layout? read the database with the reader own"


class _Frame(NamedTuple):
    """A row: its number, positions (N, 3) Å, energy in kcal/mol, forces (N, 3) in kcal/mol/Å."""

    row: int
    positions: NDArray[np.float32]
    energy: float
    forces: NDArray[np.float32]


def read(path: Path | str, level: str | None = None, parts: Sequence[str] = PARTS) -> Iterator[Molecule]:
    """Molecules (orders of elements) of the databases of a folder or ``.tar.gz``, or of one ``.db`` file.

    Args:
        path: folder, archive or file.
        level: level of theory that is expected; needed where the databases state none and it is not the published.
        parts: which databases of a folder or archive, e.g. ``["test_other"]`` for the unknown molecules.

    Raises:
        DataError: a database is missing, broken, empty or of another layout.
    """
    with unpacked(Path(path)) as place:
        absent = [f"{part}.db" for part in parts if place.is_dir() and not (place / f"{part}.db").is_file()]
        if absent:
            raise DataError(path, absent[0], "there is no such file", "check the path, or choose other parts=")
        files = find_files([place / f"{part}.db" for part in parts] if place.is_dir() else place, "*.db")
        of_all: str | None = None
        for file in files:
            groups = _groups(file)
            says = metadata(file).get("level_of_theory")
            if says is not None:
                says = text(file, "metadata, level_of_theory", says)
            elif level is None:
                lowest = ((np.array(z), min(frame.energy for frame in frames)) for z, frames in groups.items())
                says = recognised(file, PUBLISHED_LEVEL, lowest)
            of_all = one_level(file, says, level, of_all)
            for z, frames in groups.items():
                yield _molecule(file, z, frames, of_all)


def published_ids(path: Path | str) -> dict[str, NDArray[np.int64]]:
    """Row numbers in ``reference.db``, from 1, of the published parts train, validation and test.

    Raises:
        DataError: a list of ids is missing or holds something else than positive whole numbers.
    """
    out = {}
    with unpacked(Path(path)) as place:
        for part in ("train", "validation", "test"):
            (file,) = find_files(place / f"{part}_ids.txt", "*.txt")
            try:
                out[part] = np.array([int(line) for line in file.read_text(encoding="utf-8").split()], dtype=np.int64)
            except (ValueError, OverflowError) as error:
                raise DataError(file, "", str(error), COPY_AGAIN) from error
            if len(out[part]) and out[part].min() < 1:
                raise DataError(file, "", f"row {out[part].min()}: rows count from 1", COPY_AGAIN)
    return out


def published_parts(path: Path | str) -> dict[str, tuple[str, NDArray[np.int64] | None]]:
    """The published split, for `splits.split_by_rows`: ``test`` are the unknown molecules, ``test_known`` the known.

    Conformations of known molecules that neither train nor validate lie in two places: the third list of ids, and
    ``test_within``, whose frames are those after the training frames of the same trajectories. The second is
    ``test_known``.

    Raises:
        DataError: as `published_ids`.
    """
    ids = published_ids(path)
    return {
        "train": ("reference/", ids["train"]),
        "validation": ("reference/", ids["validation"]),
        "test": ("test_other/", None),
        "test_known": ("test_within/", None),
    }


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The folder that has the databases, below ``path``; or ``path`` itself, where it is a database.

    For an archive (or a folder that holds only one) a temporary folder with its contents.
    """
    archives = sorted(path.glob("*.tar.gz")) if path.is_dir() else [path] if path.name.endswith(".tar.gz") else []
    folder_of_databases = _with_databases(path)
    if folder_of_databases or not archives:
        yield folder_of_databases or path
        return
    with tempfile.TemporaryDirectory(prefix="iso17-") as folder:
        unpack(archives[0], Path(folder))
        inside = _with_databases(Path(folder))
        if inside is None:
            raise DataError(archives[0], "", "the archive holds no .db file", "is it another data set?")
        yield inside


def _with_databases(path: Path) -> Path | None:
    """The first folder at or below ``path`` that has databases."""
    return next((database.parent for database in sorted(path.rglob("*.db"))), None)


def _groups(file: Path) -> dict[tuple[int, ...], list[_Frame]]:
    """Frames by the order of their elements, orders as they first appear."""
    groups: dict[tuple[int, ...], list[_Frame]] = {}
    for row in rows(file):
        entry = f"row {row.id}"
        energy, forces = row.key_value_pairs.get("total_energy"), row.get("data", {}).get("atomic_forces")
        if isinstance(energy, bool) or not isinstance(energy, (int, float)):
            raise DataError(file, entry, f"its total_energy is {energy!r:.40}, no number", NO_ISO17)
        forces = np.asarray(forces)
        if forces.shape != row.positions.shape or forces.dtype.kind not in "fiu":
            raise DataError(
                file,
                entry,
                f"its atomic_forces are {forces.dtype} of shape {forces.shape}, not numbers "
                f"of shape {row.positions.shape}",
                NO_ISO17,
            )
        positions = near_origin(row.positions[np.newaxis])[0]
        frame = _Frame(row.id, positions, float(energy) * EV, (forces * EV).astype(np.float32))
        groups.setdefault(tuple(int(z) for z in row["numbers"]), []).append(frame)
    if not groups:
        raise DataError(file, "", "the database has no rows", COPY_AGAIN)
    return groups


def _molecule(file: Path, z: tuple[int, ...], frames: list[_Frame], level: str) -> Molecule:
    """The molecule of one order of elements; its ``rows`` are the row numbers."""
    symbols = "".join(chemical_symbols[k] if 0 < k < len(chemical_symbols) else f"({k})" for k in z)
    name = f"{file.stem}/{symbols}"
    return checked(
        file,
        name,
        Molecule(
            name=name,
            z=np.array(z),
            charges=np.zeros(len(z), dtype=np.int64),
            positions=np.array([frame.positions for frame in frames]),
            energy=np.array([frame.energy for frame in frames], dtype=np.float64),
            forces=np.array([frame.forces for frame in frames]),
            level=level,
            rows=np.array([frame.row for frame in frames], dtype=np.int64),
        ),
    )
