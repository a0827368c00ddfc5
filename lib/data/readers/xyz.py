"""Extended xyz, frame by frame: all that is announced is read, or the frame is an error.

ASE's own reader ends silently at an empty line, and reads the name ``run@300K.xyz`` as frames of ``run``.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import read

from lib.data.readers.checks import COPY_AGAIN, refuse_empty
from lib.errors import DataError

PLAIN = "species:S:1:pos:R:3"  # the columns of a file that does not name them
QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'|\{[^}]*\}')
NUMBERS = ("pos", "forces", "force")
SHORTEST_LINE = 8  # bytes of an atom's line, ``H 0 0 0`` and its end


def frames(path: Path) -> Iterator[Atoms]:
    """The frames of ``path``; empty lines between them do not count.

    Raises:
        DataError: a frame is cut, announces what is not in the file, or cannot be read.
    """
    refuse_empty(path)
    with open(path, encoding="utf-8-sig") as file:
        lines, number = enumerate(file, start=1), 0
        try:
            for place, line in lines:
                if line.strip():
                    yield _frame(path, f"frame {number}", [line, *_rest(path, number, place, line, lines)])
                    number += 1
        except UnicodeDecodeError as error:
            raise DataError(
                path, f"frame {number}", f"ASE cannot read it: it is no UTF-8 text ({error})", COPY_AGAIN
            ) from error


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
    count, size = int(line), path.stat().st_size
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
    columns = _columns(path, entry, comment)
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
    try:
        atoms_read = read(io.StringIO("".join(lines)), index=0, format="extxyz")
    except Exception as error:  # ASE raises many kinds on a broken frame
        raise DataError(path, entry, f"ASE cannot read it ({error!r:.200})", COPY_AGAIN) from error
    return atoms_read[0] if isinstance(atoms_read, list) else atoms_read


def _columns(path: Path, entry: str, comment: str) -> int:
    """How many columns a frame's ``comment`` announces.

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
    return sum(map(int, counts))


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
