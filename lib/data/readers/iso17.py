"""ISO17: ASE databases (SQLite) of C7O2H10 isomers.

Layout (http://www.quantum-machine.org/datasets): rows with the key ``total_energy`` (eV) and the data ``atomic_forces``
(N,3) eV/Å, in ``reference.db`` (known molecules), ``test_within.db`` (known, held out) and ``test_other.db`` (unknown);
``train_ids.txt``, ``validation_ids.txt``, ``test_ids.txt`` list rows of ``reference.db`` from 1. Rows do not say which
isomer they are: those of one file whose elements stand in the same order share a `Molecule`. PBE+vdW-TS, totals.
"""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from ase.db import connect
from numpy.typing import NDArray

from lib.data.readers.checks import COPY_AGAIN, checked, find_files, one_level, refuse_empty, unpack
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import EV

PUBLISHED_LEVEL = "PBE+vdW-TS"
PARTS = ("reference", "test_within", "test_other")


def read(path: Path | str, level: str | None = None, parts: Sequence[str] = PARTS) -> Iterator[Molecule]:
    """Molecules (orders of elements) of the databases of a folder or ``.tar.gz``, or of one ``.db`` file.

    Args:
        path: folder, archive or file.
        level: level of theory, where the metadata of the databases do not state it and it is not the published one.
        parts: which databases of a folder or archive, e.g. ``["test_other"]`` for the unknown molecules.

    Raises:
        DataError: a database is missing, broken, empty or of another layout.
    """
    with unpacked(Path(path)) as place:
        files = find_files([place / f"{part}.db" for part in parts] if place.is_dir() else place, "*.db")
        of_all: str | None = None
        for file in files:
            refuse_empty(file)  # ASE would make a database of it
            try:
                of_all = one_level(file, _stated_level(file) or level or PUBLISHED_LEVEL, level, of_all)
                yield from _molecules(file, of_all)
            except (sqlite3.DatabaseError, KeyError, AttributeError) as error:
                raise DataError(file, "", f"it is no ISO17 database ({error!r})", COPY_AGAIN) from error


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
            except ValueError as error:
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
    return {"train": ("reference/", ids["train"]), "validation": ("reference/", ids["validation"]),
            "test": ("test_other/", None), "test_known": ("test_within/", None)}  # fmt: skip


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The folder that has the databases, below ``path``; or ``path`` itself, where it is a database.

    For an archive (or a folder that holds only one) a temporary folder with its contents.
    """
    archives = sorted(path.glob("*.tar.gz")) if path.is_dir() else [path] if path.name.endswith(".tar.gz") else []
    found = _with_databases(path)
    if found or not archives:
        yield found or path
        return
    with tempfile.TemporaryDirectory(prefix="iso17-") as folder:
        unpack(archives[0], Path(folder))
        inside = _with_databases(Path(folder))
        if inside is None:
            raise DataError(archives[0], "", "the archive holds no .db file", "is it another data set?")
        yield inside


def _with_databases(path: Path) -> Path | None:
    """The first folder at or below ``path`` that has databases."""
    return next((found.parent for found in sorted(path.rglob("*.db"))), None)


def _stated_level(file: Path) -> str | None:
    return connect(file, type="db").metadata.get("level_of_theory")


def _molecules(file: Path, level: str) -> Iterator[Molecule]:
    """One molecule for each order of elements, in the order of first appearance; ``rows`` are the row numbers."""
    groups: dict[tuple[int, ...], list[tuple[int, NDArray, float, NDArray]]] = {}
    for row in connect(file, type="db").select():
        entry = (row.id, row.positions, row.key_value_pairs["total_energy"], row.data["atomic_forces"])
        groups.setdefault(tuple(int(z) for z in row.numbers), []).append(entry)
    if not groups:
        raise DataError(file, "", "the database has no rows", COPY_AGAIN)
    for z, frames in groups.items():
        name = f"{file.stem}/{''.join(chemical_symbols[k] for k in z)}"
        yield checked(file, name, Molecule(
            name=name,
            z=np.array(z),
            charges=np.zeros(len(z), dtype=np.int64),
            positions=np.array([f[1] for f in frames], dtype=np.float32),
            energy=np.array([f[2] for f in frames], dtype=np.float64) * EV,
            forces=(np.array([f[3] for f in frames]) * EV).astype(np.float32),
            level=level,
            rows=np.array([f[0] for f in frames], dtype=np.int64),
        ))  # fmt: skip
