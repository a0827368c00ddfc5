"""Errors of bad input, in one line: what was given, where, what was expected, and the remedy."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

Name = TypeVar("Name", str, int)
Entry = TypeVar("Entry")


class DataError(ValueError):
    """Bad input data; ``str()`` is one line that names ``path``, ``entry``, the ``problem`` and the ``remedy``."""

    def __init__(self, path: Path | str, entry: str, problem: str, remedy: str) -> None:
        """``entry`` is the place inside the file, empty where the whole file is meant."""
        where = " ".join((f"{path}, {entry}" if entry else f"{path}").split())
        super().__init__(f"{where}: {' '.join(str(problem).split())}; {remedy}")
        self.path, self.entry, self.problem, self.remedy = path, entry, problem, remedy

    def __reduce__(self) -> tuple[type, tuple[Path | str, str, str, str]]:
        """From its parts, so that it comes out of a worker process as it went in."""
        return type(self), (self.path, self.entry, self.problem, self.remedy)


class TrainingError(RuntimeError):
    """Training that went wrong; the message says what to change."""


def required(value: Entry | None, name: str) -> Entry:
    """``value``, where it is given.

    Raises:
        ValueError: it is None; the message has its ``name``.
    """
    if value is None:
        raise ValueError(f"{name} = None: a value is needed here, give one")
    return value


def look_up(table: Mapping[Name, Entry], name: Name, what: str) -> Entry:
    """``table[name]``; ``what`` is the kind of thing that the table holds.

    Raises:
        ValueError: there is none called ``name``; the message lists the names.
    """
    if name not in table:
        raise ValueError(f"no {what} {name!r}: choose from {sorted(table)}")
    return table[name]
