"""MD22: one trajectory a system, as ``md22_NAME.npz`` or as extended xyz.

Layout of the npz (http://www.sgdml.org): ``R (M,N,3) Å, E (M,) or (M,1) kcal/mol, F (M,N,3) kcal/mol/Å, z (N,)``; of
the xyz: ``Energy=`` in kcal/mol in the comment, columns species, positions, forces (kcal/mol/Å). The published level of
theory is PBE+MBD; a file may state another in the npz entry ``theory``. Energies are totals, as the paper fits them.
"""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase.io import iread

from lib.chemistry.reference_energies import LEVELS
from lib.data.readers.checks import COPY_AGAIN, checked, find_files, one_level, refuse_empty
from lib.data.readers.molecule import Molecule
from lib.errors import DataError

PUBLISHED_LEVEL = "PBE+MBD"
KEYS = ("R", "E", "F", "z")


def read(
    path: Path | str | Sequence[Path | str], level: str | None = None, systems: Sequence[str] | None = None
) -> Iterator[Molecule]:
    """Systems of one file, of a list of files, or of a folder's ``md22_*``, each under the name in its file's.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: level of theory, where the files do not state it and it is not the published one.
        systems: read only these, e.g. ``["AT-AT", "DHA"]``.

    Raises:
        DataError: a file is broken, empty, of another layout or level, or a system is not there.
    """
    files = {_name(file): file for file in find_files(path, "md22_*")}
    unknown = sorted(set(systems or ()) - set(files))
    if unknown:
        raise DataError(str(path), "", f"no system {unknown}", f"choose from {sorted(files)}")
    of_all: str | None = None
    for name, file in files.items():
        if systems is None or name in systems:
            refuse_empty(file)
            arrays, stated = _READ.get(file.suffix, _no_format)(file)
            of_all = one_level(file, level or PUBLISHED_LEVEL if stated is None else stated, level, of_all)
            yield checked(file, name, Molecule(
                name=name,
                z=arrays["z"].astype(np.int64),
                charges=np.zeros(len(arrays["z"]), dtype=np.int64),
                positions=arrays["R"].astype(np.float32),
                energy=arrays["E"].reshape(-1).astype(np.float64),
                forces=arrays["F"].astype(np.float32),
                level=of_all,
            ))  # fmt: skip


def _name(file: Path) -> str:
    """``md22_AT-AT.npz`` is AT-AT."""
    return file.stem.removeprefix("md22_")


def _read_npz(file: Path) -> tuple[dict[str, np.ndarray], str | None]:
    try:
        with np.load(file) as content:
            missing = sorted(set(KEYS) - set(content.files))
            if missing:
                raise DataError(file, "", f"no entries {missing} among {content.files}", "is it another layout?")
            theory = str(content["theory"]) if "theory" in content.files else ""
            return {key: content[key] for key in KEYS}, theory if theory in LEVELS else None
    except DataError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(file, "", f"numpy cannot read it ({error})", COPY_AGAIN) from error


def _read_xyz(file: Path) -> tuple[dict[str, np.ndarray], None]:
    frames = []
    try:
        for k, atoms in enumerate(iread(file, format="extxyz")):
            forces = atoms.arrays.get("forces", atoms.calc.results.get("forces") if atoms.calc else None)
            if "Energy" not in atoms.info or forces is None:
                raise DataError(file, f"frame {k}", "no Energy= in the comment, or no forces", "is it another layout?")
            frames.append((atoms.positions, atoms.info["Energy"], forces, atoms.numbers))
    except DataError:
        raise
    except (KeyError, IndexError, ValueError, OSError) as error:
        raise DataError(file, f"frame {len(frames)}", f"ASE cannot read it ({error})", COPY_AGAIN) from error
    first = frames[0][3]
    for k, frame in enumerate(frames):
        if not np.array_equal(frame[3], first):
            raise DataError(file, f"frame {k}", "its atoms differ from those of frame 0", "one file holds one system")
    return {key: np.array([frame[i] for frame in frames]) for i, key in enumerate("REF")} | {"z": first}, None


def _no_format(file: Path) -> tuple[dict[str, np.ndarray], None]:
    raise DataError(file, "", f"the ending {file.suffix!r} is none of {sorted(_READ)}", "give npz or extended xyz")


_READ = {".npz": _read_npz, ".xyz": _read_xyz, ".extxyz": _read_xyz}
