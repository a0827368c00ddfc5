"""Extended xyz, also compressed by gzip, frame by frame: all that is announced is read, or the frame is an error.

Elements may be given by atomic number, and deuterium as ``D``: it is hydrogen (H) with a mass of its own. ASE's own
reader ends silently at an empty line, and reads the name ``run@300K.xyz`` as frames of ``run``.
"""

import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read

from lib.data.readers.checks import COPY_AGAIN, DENSEST, refuse_empty
from lib.errors import DataError

PLAIN = "species:S:1:pos:R:3"  # the columns of a file that does not name them
QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'|\{[^}]*\}')
NUMBERS = ("pos", "forces", "force")
SHORTEST_LINE = 8  # bytes of an atom's line, ``H 0 0 0`` and its end
HEAVY_HYDROGEN = {"D": 2.014101778, "T": 3.016049268}  # masses in u (https://physics.nist.gov/Comp)


def frames(path: Path) -> Iterator[Atoms]:
    """The frames of ``path``; empty lines between them do not count.

    Raises:
        DataError: a frame is cut, announces what is not in the file, or cannot be read.
    """
    for number, lines in _blocks(path):
        yield _frame(path, f"frame {number}", lines)


def free_atoms(path: Path) -> Iterator[tuple[int, Atoms]]:
    """The frames of ``path`` with one atom, each with its number; the others are passed over quickly.

    Raises:
        DataError: as `frames`.
    """
    for number, lines in _blocks(path):
        if int(lines[0]) == 1:
            yield number, _frame(path, f"frame {number}", lines)


def _blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and lines of each frame."""
    refuse_empty(path)
    with _opened(path) as file:
        lines, number = enumerate(file, start=1), 0
        try:
            for place, line in lines:
                if line.strip():
                    yield number, [line, *_rest(path, number, place, line, lines)]
                    number += 1
        except UnicodeDecodeError as error:
            raise DataError(
                path, f"frame {number}", f"ASE cannot read it: it is no UTF-8 text ({error})", COPY_AGAIN
            ) from error
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise DataError(path, f"frame {number}", f"gzip cannot unpack it ({error})", COPY_AGAIN) from error


def _opened(path: Path) -> TextIO:
    """``path`` as text, unpacked where its name ends in ``.gz``."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")  # type: ignore[return-value]  # a TextIOWrapper
    return open(path, encoding="utf-8-sig")


def _rest(path: Path, number: int, place: int, line: str, lines: Iterator[tuple[int, str]]) -> list[str]:
    """The comment and the lines of atoms that follow the ``line`` of a frame's first, as many as it announces."""
    entry = f"frame {number}"
    if not re.fullmatch(r"\s*\d{1,18}\s*", line, re.ASCII):
        raise DataError(
            path,
            entry,
            f"line {place}, {line.strip()!r:.40}, is no number of atoms",
            "a frame is that number, a comment and a line an atom",
        )
    count, size = int(line), path.stat().st_size * (DENSEST if path.suffix == ".gz" else 1)
    if not count:
        raise DataError(path, entry, "it has no atoms", "remove that frame")
    if count * SHORTEST_LINE > size + SHORTEST_LINE:
        raise DataError(path, entry, f"it announces {count} atoms, and the file has {size} bytes", COPY_AGAIN)
    out = [text for _, (_, text) in zip(range(count + 1), lines, strict=False)]
    if len(out) < count + 1:
        raise DataError(
            path, entry, f"it announces {count} atoms, and the file ends after {max(len(out) - 1, 0)}", COPY_AGAIN
        )
    return out


def _frame(path: Path, entry: str, lines: list[str]) -> Atoms:
    """One frame of its ``lines``."""
    comment, atoms = lines[1], lines[2:]
    columns, species = _columns(path, entry, comment)
    for k, line in enumerate(atoms):
        if len(line.split()) != columns:
            raise DataError(
                path,
                entry,
                f"atom {k} has {len(line.split())} columns, not {columns}",
                "name all columns in Properties=, or copy the file again",
            )
    if not lines[-1].endswith("\n"):
        _refuse_cut(path, entry, atoms)
    names = [] if species is None else [line.split()[species] for line in atoms]
    if species is not None:
        lines[2:] = _with_symbols(atoms, names, species)
    try:
        atoms_read = read(io.StringIO("".join(lines)), index=0, format="extxyz")
    except Exception as error:  # ASE raises many kinds on a broken frame
        raise DataError(path, entry, f"ASE cannot read it ({error!r:.200})", COPY_AGAIN) from error
    out = atoms_read[0] if isinstance(atoms_read, list) else atoms_read
    if heavy := {k: HEAVY_HYDROGEN[name] for k, name in enumerate(names) if name in HEAVY_HYDROGEN}:
        masses = out.get_masses()
        masses[list(heavy)] = list(heavy.values())
        out.set_masses(masses)
    return out


def _with_symbols(atoms: list[str], names: list[str], column: int) -> list[str]:
    """The lines ``atoms`` with the elements' symbols, where ``names`` are atomic numbers or heavy hydrogen."""
    known = {name: _symbol(name) for name in set(names)}
    if all(name == symbol for name, symbol in known.items()):
        return atoms
    rows = [line.split() for line in atoms]
    return [" ".join([*row[:column], known[row[column]], *row[column + 1 :]]) + "\n" for row in rows]


def _symbol(name: str) -> str:
    """The symbol of an element that is given as ``6`` or ``D``; other names as they are."""
    if name in HEAVY_HYDROGEN:
        return "H"
    number = int(name) if re.fullmatch(r"\d{1,3}", name, re.ASCII) else 0
    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else name


def _columns(path: Path, entry: str, comment: str) -> tuple[int, int | None]:
    """How many columns a frame's ``comment`` announces, and which of them has the elements, if one has.

    Raises:
        DataError: it names a key twice, does not close a quotation, or does not say how many.
    """
    bare = QUOTED.sub("quoted", comment)
    if '"' in bare:
        raise DataError(path, entry, "a quotation in its comment is not closed", 'close it with "')
    keys = Counter(re.findall(r"([^\s=]+)\s*=", bare))
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        raise DataError(path, entry, f"its comment has {twice[0]!r} {keys[twice[0]]} times", "leave one")
    named = re.search(r"(?:^|\s)Properties\s*=\s*\"?([^\s\"]+)", comment, re.IGNORECASE)
    properties = named[1] if named else PLAIN
    counts = properties.split(":")[2::3]
    if not counts or not all(re.fullmatch(r"\d{1,9}", count, re.ASCII) for count in counts):
        raise DataError(
            path,
            entry,
            f"Properties={properties:.80} does not say how many columns there are",
            "write name:type:count for each",
        )
    _refuse_words(path, entry, properties.split(":"))
    names = [name.lower() for name in properties.split(":")[::3]]
    species = sum(map(int, counts[: names.index("species")])) if "species" in names else None
    return sum(map(int, counts)), species


def _refuse_words(path: Path, entry: str, columns: list[str]) -> None:
    """Refuse positions and forces that are announced as texts or as true and false, which ASE would make 1 and 0."""
    for name, kind in zip(columns[::3], columns[1::3], strict=False):
        if name.lower() in NUMBERS and kind not in ("R", "I"):
            raise DataError(path, entry, f"Properties= has {name} of type {kind}", "give them as numbers, of type R")


def _refuse_cut(path: Path, entry: str, atoms: list[str]) -> None:
    """Refuse a last line without its end, unless its last number has as many decimals as those above it."""
    decimals = {len(line.split()[-1].partition(".")[2]) for line in atoms}
    if len(atoms) < 2 or len(decimals) > 1 or decimals == {0}:
        raise DataError(
            path,
            entry,
            "its last line has no end, so that its last number may be cut",
            "end the file with a line break if it is whole, else copy it again",
        )
