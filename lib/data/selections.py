"""Selections: small parts of published data sets, named so exactly that others find the same in the published files.

``data/published/selections.yml`` names each: whole files by SHA-256, or single conformations by formula and a hash
of their atomic numbers and coordinates, in a list beside it. It also holds the fingerprint of the resulting store, so
that recorded runs are found without the data. Nothing of the data themselves is in the project.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from lib.data.readers import READERS, Molecule
from lib.errors import DataError, look_up
from lib.paths import DATA
from lib.units import HARTREE

FOLDER = DATA / "published"
SELECTIONS = FOLDER / "selections.yml"
XTB_TABLE = FOLDER / "gfn2_xtb.csv"  # of `mini_suite.published`
DIGITS = 16  # hexadecimal, of a conformation's hash
Picks = dict[str, list[str]]  # hashes of conformations by formula, in the order of the list


@dataclass(frozen=True)
class Selection:
    """A part of one published data set.

    Attributes:
        what: it is, in words.
        fingerprint: of the store that holds it.
        references: SHA-256 of the store's reference energies, as `RunConfig.describe` has it.
        files: names of the files that are taken whole, with their SHA-256; none where conformations are picked.
        conformations: name of the list of conformations in `FOLDER`.
    """

    what: str
    fingerprint: str
    references: str
    files: Mapping[str, str] = field(default_factory=dict)
    conformations: str | None = None


@cache
def load_selections(path: Path = SELECTIONS) -> dict[str, Selection]:
    """Every selection by the name of its data set, which is also that of its reader.

    Raises:
        DataError: an entry has a key that is not one of `Selection`'s, or lacks one.
    """
    try:
        return {name: Selection(**entry) for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items()}
    except TypeError as error:
        raise DataError(path, "", str(error), "an entry has the keys of lib.data.selections.Selection") from error


def find_selection(name: str) -> Selection:
    """The selection of the data set ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    return look_up(load_selections(), name, "selection of a published data set")


def read_selection(name: str, path: Path) -> Iterator[Molecule]:
    """The molecules of the selection ``name`` from the file or folder ``path`` (the folders below it count too).

    Raises:
        DataError: a file or a conformation is missing or is another one than the selection names.
    """
    selection, read = find_selection(name), look_up(READERS, name, "reader")
    if selection.conformations is None:
        return read([_file(name, path, file, checksum) for file, checksum in selection.files.items()])
    return pick(read(path), load_picks(FOLDER / selection.conformations), path)


def _file(name: str, path: Path, file: str, checksum: str) -> Path:
    """The file called ``file`` in or below ``path``, with that SHA-256."""
    folder = path if path.is_dir() else path.parent
    places = sorted(folder.rglob(file))
    if not places:
        raise DataError(folder, file, "it is not there", f"fetch it: python -m lib data fetch {name}")
    with places[0].open("rb") as opened:
        actual = hashlib.file_digest(opened, "sha256").hexdigest()
    if actual != checksum:
        problem = f"its SHA-256 is {actual[:DIGITS]}…, not {checksum[:DIGITS]}…, so it is not the published file"
        raise DataError(places[0], "", problem, f"fetch it again: python -m lib data fetch {name}")
    return places[0]


def load_picks(path: Path) -> Picks:
    """The list of conformations at ``path``, columns formula and conformation (their `hash_of`)."""
    picks: Picks = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            picks.setdefault(row["formula"], []).append(row["conformation"])
    return picks


def hash_of(z: NDArray[np.integer], positions: NDArray[np.float32]) -> str:
    """`DIGITS` digits of the SHA-256 of one conformation's atomic numbers (N,) and coordinates (N, 3), Å, float32."""
    return hashlib.sha256(z.astype("u1").tobytes() + positions.astype("<f4").tobytes()).hexdigest()[:DIGITS]


def pick(molecules: Iterable[Molecule], picks: Picks, path: Path) -> Iterator[Molecule]:
    """Those conformations of ``molecules`` that ``picks`` names, in its order, whatever the order of the file.

    Energies are rounded to float32 in Hartree (by 0.02 kcal/mol at most for these molecules), as they came to the file
    with which the recorded runs were made, and forces are left out: so the whole published file gives the same store.

    Raises:
        DataError: conformations of the list are missing; the message says how many, and names the first.
    """
    chosen = {m.name: m for molecule in molecules if (m := _picked(molecule, picks.get(molecule.name, []))) is not None}
    missing = [(formula, h) for formula, hashes in picks.items() for h in hashes
               if formula not in chosen or h not in _hashes(chosen[formula])]  # fmt: skip
    if missing:
        count, (formula, first) = sum(map(len, picks.values())), missing[0]
        raise DataError(
            path,
            formula,
            f"{len(missing)} of {count} chosen conformations are not in it, or their coordinates were changed, the "
            f"first {first}",
            "take the published file as it is",
        )
    yield from (chosen[formula] for formula in picks)


def _hashes(molecule: Molecule) -> list[str]:
    return [hash_of(molecule.z, positions) for positions in molecule.positions]


def _picked(molecule: Molecule, hashes: list[str]) -> Molecule | None:
    """The conformations of ``molecule`` with one of ``hashes``, in that order; None where it has none of them."""
    if not hashes:
        return None
    place = {h: k for k, h in reversed(list(enumerate(_hashes(molecule))))}  # the first of equal ones
    index = [place[h] for h in hashes if h in place]
    if not index:
        return None
    energy = (molecule.energy[index] / HARTREE).astype(np.float32).astype(np.float64) * HARTREE
    return replace(molecule, positions=molecule.positions[index], energy=energy, forces=None, rows=None)
