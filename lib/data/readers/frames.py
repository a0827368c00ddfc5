"""Frames of a user's files, one ASE ``Atoms`` after another, whatever the format.

A new format is one line in `FORMATS`: the ending of its files, and what yields their frames.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import TrajectoryReader
from ase.io.ulm import read_header

from lib.data.readers import npz, xyz
from lib.data.readers.ase_database import rows
from lib.data.readers.checks import COPY_AGAIN, find_files, refuse_empty
from lib.errors import DataError

ISOLATED = "isolatedatom"  # what `CONFIG_TYPE` says of a free atom, in small letters, without blanks and dashes
CONFIG_TYPE = "config_type"  # where frames of extended xyz usually say which group they belong to


def frames(file: Path) -> Iterator[Atoms]:
    """The frames of ``file``.

    Raises:
        DataError: an ending that is not in `FORMATS`, or a broken or empty file.
    """
    if ending(file) not in FORMATS:
        raise DataError(file, "", f"the ending {file.suffix!r} is none of {sorted(FORMATS)}", "convert the file")
    refuse_empty(file)
    place, k = "frame 0", -1
    try:
        for k, atoms in enumerate(FORMATS[ending(file)](file)):
            yield atoms
            place = f"frame {k + 1}"
    except DataError:
        raise
    except Exception as error:  # ASE raises many kinds on a broken file
        raise DataError(file, place, f"ASE cannot read it ({error!r:.200})", COPY_AGAIN) from error
    if k < 0:
        raise DataError(file, "", "it has no frames", COPY_AGAIN)


def free_atoms(file: Path) -> Iterator[tuple[int, Atoms]]:
    """The frames of ``file`` that are free atoms (`is_free_atom`), each with its number.

    Raises:
        DataError: as `frames`.
    """
    single = QUICK[ending(file)](file) if ending(file) in QUICK else enumerate(frames(file))
    yield from ((k, atoms) for k, atoms in single if is_free_atom(atoms, file, f"frame {k}"))


def ending(file: Path) -> str:
    """The ending of a file's name, ``.xyz`` or ``.xyz.gz``."""
    return "".join(file.suffixes[-2:] if file.suffix == ".gz" else file.suffixes[-1:])


def files_with(path: Path | str | Sequence[Path | str], endings: Sequence[str]) -> list[Path]:
    """Of a folder the files with one of ``endings``, where it has one; what is named is taken as it is."""
    files = find_files(path, "*")
    known = [file for file in files if ending(file) in endings]
    return known if known and isinstance(path, (str, Path)) and Path(path).is_dir() else files


def is_free_atom(atoms: Atoms, file: Path, entry: str) -> bool:
    """Whether a frame is one free atom, whose energy is a reference and nothing to learn.

    Raises:
        DataError: the frame says so (`CONFIG_TYPE`) and has several atoms.
    """
    says = str(atoms.info.get(CONFIG_TYPE, "")).lower().translate(str.maketrans("", "", "_- ")) == ISOLATED
    if says and len(atoms) != 1:
        problem = f"{CONFIG_TYPE} is {atoms.info[CONFIG_TYPE]!r}, and it has {len(atoms)} atoms"
        raise DataError(file, entry, problem, "give free atoms one by one")
    return len(atoms) == 1


def value_of(atoms: Atoms, key: str) -> Any:
    """``key`` of a frame, wherever ASE put it; None where it is nowhere."""
    for place in (atoms.info, atoms.arrays, results_of(atoms)):
        if key in place:
            return place[key]
    return None


def results_of(atoms: Atoms) -> dict[str, Any]:
    """What a calculator left with ``atoms``."""
    return atoms.calc.results if atoms.calc is not None else {}


def _database(file: Path) -> Iterator[Atoms]:
    for row in rows(file):
        atoms = row.toatoms()
        atoms.info.update(row.key_value_pairs)
        atoms.info.update(row.get("data", {}))
        yield atoms


def _trajectory(file: Path) -> Iterator[Atoms]:
    """The frames of an ASE trajectory, which are as many as its table of offsets has."""
    with open(file, "rb") as opened:
        _, _, count, start, offsets = read_header(opened)
        opened.seek(start + 8 * int(count))
        after = int.from_bytes(opened.read(8), "little")
    ordered = len(offsets) == count and (np.diff(offsets) > 0).all()
    if not ordered or (len(offsets) and offsets[-1] < after < file.stat().st_size):
        raise DataError(file, "", f"it says {count} frames, but its table of frames does not", COPY_AGAIN)
    with TrajectoryReader(str(file)) as trajectory:
        yield from (trajectory[k] for k in range(len(trajectory)))


FORMATS: dict[str, Callable[[Path], Iterator[Atoms]]] = {
    ".xyz": xyz.frames,
    ".extxyz": xyz.frames,
    ".xyz.gz": xyz.frames,
    ".extxyz.gz": xyz.frames,
    ".traj": _trajectory,
    ".db": _database,
    ".npz": npz.frames,
}
QUICK = dict.fromkeys((".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz"), xyz.free_atoms)
