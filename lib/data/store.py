"""ConformationStore: all conformations of a data set, ragged and memory-mapped.

A store is a folder of flat binary arrays and a ``header.json`` with units, level of theory, counts, a fingerprint and a
checksum of every file. Opening checks the small files, `ConformationStore.verify` all of them.
Species are kept once per molecule; the rows of ``positions`` are the atoms of conformation 0, then 1, and so on.
Opening reads per-molecule arrays only; conformations are mapped and gathered by vectorised indexing.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.chemistry.atom_types import ATOM_TYPES, atom_types
from lib.chemistry.reference_energies import reference_energies
from lib.data.readers.checks import check_arrays
from lib.data.readers.molecule import Molecule
from lib.data.store_header import (
    ARRAYS,
    CHECKSUM_OF_HEADER,
    CONVERT_AGAIN,
    COUNTS,
    FORMAT,
    HEADER,
    NAMES,
    OPTIONAL,
    UNITS,
    check_files,
    checksum_of,
    is_store,
    read_header,
)
from lib.errors import DataError
from lib.files import writing

READ_ON_OPENING = ("z", "charges", "n_atoms", "n_conformations")  # by molecule, so small


@dataclass(frozen=True)
class Conformations:
    """B gathered conformations: ``types`` (A,), ``positions`` (A, 3) Å, ``molecule`` (A,) 0 … B-1, ``n_atoms`` (B,)."""

    types: NDArray[np.int64]
    positions: NDArray[np.float32]
    molecule: NDArray[np.int64]
    n_atoms: NDArray[np.int64]


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The concatenation of ``arange(start, start + length)`` of all pairs."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


class ConformationStore:
    """An opened store; make one with `write`, open it with `open`."""

    def __init__(self, path: Path, header: dict[str, Any], arrays: Mapping[str, NDArray]) -> None:
        """Use `open`."""
        self.path, self.header, self.arrays = path, header, arrays
        self.names: list[str] = json.loads((path / NAMES).read_text(encoding="utf-8"))
        self.level: str = header["level"]
        self.fingerprint: str = header["fingerprint"]
        self.n_atoms = np.asarray(arrays["n_atoms"], dtype=np.int64)
        self.n_conformations = np.asarray(arrays["n_conformations"], dtype=np.int64)
        self.first_atom = np.cumsum(self.n_atoms) - self.n_atoms
        self.first_conformation = np.cumsum(self.n_conformations) - self.n_conformations
        rows = self.n_atoms * self.n_conformations
        self.first_row = np.cumsum(rows) - rows
        self.types = atom_types(arrays["z"], arrays["charges"])

    def __len__(self) -> int:
        """Number of conformations."""
        return int(self.header["counts"]["conformations"])

    @property
    def has_forces(self) -> bool:
        """Whether forces come with the energies."""
        return "forces" in self.arrays

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What a user should know of how molecules were read: name and text of each note."""
        return [(str(name), str(note)) for name, note in self.header.get("notes", [])]

    def atoms_of(self, molecule: int) -> slice:
        """The rows of ``molecule`` in the arrays by atom, ``z``, ``charges`` and `types`."""
        return slice(self.first_atom[molecule], self.first_atom[molecule] + self.n_atoms[molecule])

    def conformations_of(self, molecule: int) -> NDArray[np.int64]:
        """The numbers of the conformations of ``molecule``."""
        return self.first_conformation[molecule] + np.arange(self.n_conformations[molecule])

    def molecule_of(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The molecule (B,) of each conformation of ``index`` (B,)."""
        return np.searchsorted(self.first_conformation, index, side="right") - 1

    def _rows(self, index: NDArray[np.int64], molecule: NDArray[np.int64]) -> NDArray[np.int64]:
        n = self.n_atoms[molecule]
        return ranges(self.first_row[molecule] + (index - self.first_conformation[molecule]) * n, n)

    def gather(self, index: NDArray[np.int64]) -> Conformations:
        """Species and positions of the conformations ``index`` (B,), in that order."""
        molecule = self.molecule_of(index)
        n = self.n_atoms[molecule]
        return Conformations(
            types=self.types[ranges(self.first_atom[molecule], n)],
            positions=self.arrays["positions"][self._rows(index, molecule)],
            molecule=np.repeat(np.arange(len(index)), n),
            n_atoms=n,
        )

    def gather_forces(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Forces (A, 3) in kcal/mol/Å of the conformations ``index`` (B,), rows as in `gather`."""
        return self.arrays["forces"][self._rows(index, self.molecule_of(index))]

    def energy(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Total energies (B,) in kcal/mol, float64."""
        return np.asarray(self.arrays["energy"][index])

    @cached_property
    def references(self) -> NDArray[np.float64]:
        """Energy of each molecule's free atoms (n_molecules,) at the store's level of theory, kcal/mol, float64.

        Raises:
            ValueError: an atom type has no reference energy at that level.
        """
        return np.add.reduceat(reference_energies(self.level, self.types), self.first_atom)

    @cached_property
    def compositions(self) -> NDArray[np.int64]:
        """Number of atoms of each type in each molecule, (n_molecules, 28)."""
        counts = np.zeros((len(self.names), len(ATOM_TYPES)), dtype=np.int64)
        np.add.at(counts, (np.repeat(np.arange(len(self.names)), self.n_atoms), self.types), 1)
        return counts

    def relative_energy(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Energies (B,) in kcal/mol relative to the free atoms, subtracted in float64."""
        return self.energy(index) - self.references[self.molecule_of(index)]

    @staticmethod
    def write(molecules: Iterable[Molecule], path: Path | str, replace: bool = False) -> "ConformationStore":
        """Write the molecules, one at a time, and open the result; ``path`` appears whole or not at all.

        Args:
            molecules: to write.
            path: of the folder to make.
            replace: whether a store that is there may be replaced; anything else is never touched.

        Raises:
            DataError: something is at ``path``; or no molecule, a name twice, two levels of theory, forces for some
                molecules only, or arrays that do not fit each other or are not finite.
        """
        path = Path(path)
        refuse_to_overwrite(path, replace)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent, ignore_cleanup_errors=True)
        with writing(path), beside as folder:
            part = Path(folder, "store")  # with the permissions of any new folder: a temporary one is its owner's alone
            part.mkdir()
            header = _write_arrays(molecules, part, path)
            header[CHECKSUM_OF_HEADER] = checksum_of(header)
            (part / HEADER).write_text(json.dumps(header, indent=1), encoding="utf-8")
            _replace(part, path, replace)
        return ConformationStore.open(path)

    @staticmethod
    def open(path: Path | str) -> "ConformationStore":
        """Open a store without reading its conformations.

        Raises:
            DataError: no store of this format and units, or a file of another size or, where it is small, checksum.
        """
        path, arrays = Path(path), {}
        header = read_header(path)
        for name in header["arrays"]:
            kind, counted, columns = ARRAYS[name]
            shape = (header["counts"][counted],) + ((columns,) if columns > 1 else ())
            expected = math.prod(shape) * np.dtype(kind).itemsize
            file = path / f"{name}.bin"
            size = file.stat().st_size if file.is_file() else 0
            if size != expected or not expected:
                raise DataError(path, file.name, f"{size} bytes, not {expected}", CONVERT_AGAIN)
            arrays[name] = np.memmap(file, dtype=kind, mode="r", shape=shape)
        check_files(path, header, [NAMES, *(f"{name}.bin" for name in READ_ON_OPENING)])
        try:
            return ConformationStore(path, header, arrays)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DataError(path, "", f"its files do not fit together ({error})", CONVERT_AGAIN) from error

    def verify(self) -> None:
        """Read every file and hold it against its checksum.

        Raises:
            DataError: a file was changed since it was written, or the store has no checksums.
        """
        if "checksums" not in self.header:
            raise DataError(self.path, HEADER, "it has no checksums, being of an older version", CONVERT_AGAIN)
        check_files(self.path, read_header(self.path), sorted(self.header["checksums"]))


def refuse_to_overwrite(path: Path, replace: bool) -> None:
    """Refuse to write a store over anything but a store, and over a store unless it is to be ``replace``d.

    Raises:
        DataError: saying what is there.
    """
    if not path.exists() and not path.is_symlink():
        return
    if not is_store(path):
        raise DataError(path, "", "something that is no conformation store is there already, and is left as it is",
                        "name a folder that does not exist")  # fmt: skip
    if not replace:
        raise DataError(path, "", "a store is there already", "name another folder, or replace it (--force)")


def _write_arrays(molecules: Iterable[Molecule], part: Path, path: Path) -> dict[str, Any]:
    """Stream the molecules into ``part``; returns the header."""
    digest, of_files = hashlib.sha256(), {name: hashlib.sha256() for name in ARRAYS}
    names: dict[str, None] = {}
    notes: list[list[str]] = []
    first: Molecule | None = None
    counts = dict.fromkeys(COUNTS, 0)
    with ExitStack() as opened:
        files = {name: opened.enter_context(open(part / f"{name}.bin", "wb")) for name in ARRAYS}
        for m in molecules:
            first = first or m
            _check_member(m, first, names, path)
            names[m.name] = None
            notes += [[m.name, note] for note in m.notes]
            values = (m.z, m.charges, len(m.z), len(m.energy), m.energy, m.positions, m.forces, m.rows)
            for name, value in zip(ARRAYS, values, strict=True):
                data = np.ascontiguousarray(() if value is None else value, dtype=ARRAYS[name][0]).tobytes()
                files[name].write(data)
                digest.update(data)
                of_files[name].update(data)
            digest.update(m.name.encode())
            for key, more in zip(counts, (1, len(m.energy), len(m.z), len(m.energy) * len(m.z)), strict=True):
                counts[key] += more
    if first is None or not counts["conformations"]:
        raise DataError(path, "", "no conformation to write", "check the source file")
    digest.update(first.level.encode())
    listed = json.dumps(list(names)).encode()
    (part / NAMES).write_bytes(listed)
    arrays = [name for name in ARRAYS if name not in OPTIONAL or getattr(first, name) is not None]
    checksums = {f"{name}.bin": of_files[name].hexdigest() for name in ARRAYS}
    checksums[NAMES] = hashlib.sha256(listed).hexdigest()
    return {"format": FORMAT, "units": UNITS, "level": first.level, "counts": counts, "arrays": arrays,
            "fingerprint": digest.hexdigest(), "checksums": checksums,
            **({"notes": notes} if notes else {})}  # fmt: skip


def _check_member(molecule: Molecule, first: Molecule, names: dict[str, None], path: Path) -> None:
    """A name of its own, and the level and optional arrays of the ``first`` molecule."""
    if molecule.name in names:
        raise DataError(path, molecule.name, "two molecules have this name", "give each its own")
    if not molecule.level or molecule.level != first.level:
        levels = f"{molecule.level!r} after {first.level!r}"
        raise DataError(path, molecule.name, f"missing or mixed levels of theory, {levels}", "write one store a level")
    for name in OPTIONAL:
        if (getattr(molecule, name) is None) != (getattr(first, name) is None):
            raise DataError(path, molecule.name, f"{name} for some molecules only", "leave them out or give all")
    check_arrays(path, molecule)


def _replace(part: Path, path: Path, replace: bool) -> None:
    """Move the finished folder ``part`` to ``path``; an older store there is removed last.

    Where another process has just put the same store there, it stays.
    """
    if not replace and _is_same(part, path):
        return
    refuse_to_overwrite(path, replace)
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    try:
        if path.exists():
            os.replace(path, old / "store")
        os.replace(part, path)
    except OSError:
        if (old / "store").exists() and not path.exists():
            os.replace(old / "store", path)
        if part.exists() and not _is_same(part, path):  # else another process has put it there meanwhile
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _is_same(part: Path, path: Path) -> bool:
    return is_store(path) and read_header(path)["fingerprint"] == read_header(part)["fingerprint"]
