"""MD22: one trajectory a system, as ``md22_NAME.npz`` or as extended xyz.

Layout of the npz (http://www.sgdml.org): ``R (M,N,3) Å, E (M,) or (M,1) kcal/mol, F (M,N,3) kcal/mol/Å, z (N,)``; of
the xyz: ``Energy=`` in kcal/mol in the comment, columns species, positions, forces (kcal/mol/Å). The npz entry
``theory`` states the level of theory; a file that states none is at the published PBE+MBD if that can be told from its
energies (`checks.recognised`). Energies are totals, as the paper fits them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lib.data.readers.checks import (
    ANOTHER_LAYOUT,
    COPY_AGAIN,
    checked,
    find_files,
    near_origin,
    one_level,
    recognised,
    refuse_empty,
    refuse_kind,
    text,
)
from lib.data.readers.molecule import Molecule
from lib.data.readers.npz import BROKEN, SILENT, refuse_cut
from lib.data.readers.xyz import frames
from lib.errors import DataError

PUBLISHED_LEVEL = "PBE+MBD"
KEYS = {"R": ("f", 3), "E": ("f", None), "F": ("f", 3), "z": ("iu", 1)}  # types and numbers of dimensions


def read(
    path: Path | str | Sequence[Path | str], level: str | None = None, systems: Sequence[str] | None = None
) -> Iterator[Molecule]:
    """Systems of one file, of a list of files, or of a folder's ``md22_*``, each under the name in its file's.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: level of theory that is expected; needed where the files do not state one and it cannot be told.
        systems: read only these, e.g. ``["AT-AT", "DHA"]``.

    Raises:
        DataError: a file is broken, empty, of another layout or level, or a system is not there.
    """
    files: dict[str, Path] = {}
    for file in find_files(path, "md22_*"):
        if _name(file) in files:
            raise DataError(
                file, "", f"{files[_name(file)].name} holds the system {_name(file)} too", "leave one of them"
            )
        files[_name(file)] = file
    unknown = sorted(set(systems or ()) - set(files))
    if unknown:
        raise DataError(str(path), "", f"no system {unknown}", f"choose from {sorted(files)}")
    of_all: str | None = None
    for name, file in files.items():
        if systems is None or name in systems:
            refuse_empty(file)
            arrays, says = _READ.get(file.suffix, _no_format)(file)
            energy = arrays["E"].reshape(-1).astype(np.float64)
            if says is None and level is None:
                says = recognised(file, PUBLISHED_LEVEL, [(arrays["z"], energy.min(initial=np.inf))])
            of_all = one_level(file, says, level, of_all)
            yield checked(
                file,
                name,
                Molecule(
                    name=name,
                    z=arrays["z"].astype(np.int64),
                    charges=np.zeros(len(arrays["z"]), dtype=np.int64),
                    positions=near_origin(arrays["R"]),
                    energy=energy,
                    forces=arrays["F"].astype(np.float32),
                    level=of_all,
                ),
            )


def _name(file: Path) -> str:
    """``md22_AT-AT.npz`` is AT-AT."""
    return file.stem.removeprefix("md22_")


def _read_npz(file: Path) -> tuple[dict[str, np.ndarray], str | None]:
    try:
        refuse_cut(file)
        with np.load(file) as content:
            missing = sorted(set(KEYS) - set(content.files))
            if missing:
                raise DataError(file, "", f"no entries {missing} among {content.files}", ANOTHER_LAYOUT)
            arrays = {key: content[key] for key in KEYS}
            theory = text(file, "theory", content["theory"]).strip() if "theory" in content.files else ""
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(file, "", f"numpy cannot read it ({error})", COPY_AGAIN) from error
    for key, (kinds, dimensions) in KEYS.items():
        refuse_kind(file, key, arrays[key].dtype, arrays[key].shape, kinds, dimensions)
    if arrays["E"].size != len(arrays["R"]):
        raise DataError(file, "E", f"{arrays['E'].size} energies of {len(arrays['R'])} conformations", COPY_AGAIN)
    return arrays, None if theory.lower() in SILENT else theory


def _read_xyz(file: Path) -> tuple[dict[str, np.ndarray], None]:
    read: list[tuple[np.ndarray, float, np.ndarray, np.ndarray]] = []
    for k, atoms in enumerate(frames(file)):
        entry = f"frame {k}"
        forces = atoms.arrays.get("forces", atoms.calc.results.get("forces") if atoms.calc else None)
        energy = atoms.info.get("Energy")
        if forces is None or not isinstance(energy, (int, float, np.number)) or isinstance(energy, bool):
            raise DataError(file, entry, "no Energy= that is a number in the comment, or no forces", ANOTHER_LAYOUT)
        refuse_kind(file, entry, np.asarray(forces).dtype, np.shape(forces), "f", 2)
        if not np.array_equal(atoms.numbers, read[0][3] if read else atoms.numbers):
            raise DataError(file, entry, "its atoms differ from those of frame 0", "one file holds one system")
        if forces.shape != atoms.positions.shape:
            raise DataError(
                file, entry, f"its forces have shape {forces.shape}, not {atoms.positions.shape}", COPY_AGAIN
            )
        read.append((atoms.positions, float(energy), forces, atoms.numbers))
    if not read:
        raise DataError(file, "", "it has no frames", COPY_AGAIN)
    return {key: np.array([frame[i] for frame in read]) for i, key in enumerate("REF")} | {"z": read[0][3]}, None


def _no_format(file: Path) -> tuple[dict[str, np.ndarray], None]:
    raise DataError(file, "", f"the ending {file.suffix!r} is none of {sorted(_READ)}", "give npz or extended xyz")


_READ = {".npz": _read_npz, ".xyz": _read_xyz, ".extxyz": _read_xyz}
