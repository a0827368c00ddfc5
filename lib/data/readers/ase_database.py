"""ASE databases (SQLite), read and never written: ASE itself makes its tables in whatever it opens."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ase.db.row import AtomsRow
from ase.db.sqlite import SQLite3Database

from lib.data.readers.checks import COPY_AGAIN, refuse_empty
from lib.errors import DataError

AT_ONCE = 1000  # rows that are read into memory together; ASE reads all of a database
BESIDE = ("-wal", "-journal")  # what another program has not yet written into the database


class _ReadOnly(SQLite3Database):
    """ASE's reader on a connection that cannot write, does not lock, and trusts no function of the file's schema."""

    _tables: list[str] | None = None

    def _connect(self) -> sqlite3.Connection:
        return connection(Path(str(self.filename)))

    def _get_external_table_names(self, db_con: Any = None) -> list[str]:
        """Asked for once, where ASE opens the database anew for each row, which takes most of its time."""
        if self._tables is None:
            self._tables = super()._get_external_table_names(db_con)
        return self._tables


def connection(path: Path) -> sqlite3.Connection:
    """A connection to ``path`` that leaves file and folder as they are."""
    opened = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
    opened.execute("PRAGMA query_only = 1")
    opened.execute("PRAGMA trusted_schema = 0")
    return opened


def metadata(path: Path) -> dict[str, Any]:
    """What the database says about itself.

    Raises:
        DataError: it is no ASE database, or broken.
    """
    refuse_empty(path)
    try:
        _refuse_others(path)
        said = _ReadOnly(str(path)).metadata
    except DataError:
        raise
    except Exception as error:  # ASE raises many kinds on a broken file
        raise _unreadable(path, "", error) from error
    if not isinstance(said, dict):
        raise DataError(path, "metadata", f"it is no table of keys but {said!r:.40}", COPY_AGAIN)
    return said


def rows(path: Path) -> Iterator[AtomsRow]:
    """The rows of the database, in the order of their numbers.

    Raises:
        DataError: it is no ASE database, is broken, or is being written.
    """
    refuse_empty(path)
    place, count = "", 0
    try:
        _refuse_others(path)
        expected = _refuse_damaged(path)
        for row in _in_order(_ReadOnly(str(path))):
            place = f"row {row.id}"
            if not isinstance(row.get("data", {}), dict) or not isinstance(row.key_value_pairs, dict):
                raise DataError(path, place, "its data or key_value_pairs are no tables of keys", COPY_AGAIN)
            if row.positions.shape != (len(row.numbers), 3) or row.natoms != len(row.numbers):
                raise DataError(
                    path,
                    place,
                    f"{row.natoms} atoms, {len(row.numbers)} numbers and positions of shape "
                    f"{row.positions.shape} do not fit",
                    COPY_AGAIN,
                )
            yield row
            count += 1
    except DataError:
        raise
    except Exception as error:  # ASE raises many kinds on a broken row
        raise _unreadable(path, f"after {place}" if place else "", error) from error
    if count != expected:
        raise DataError(path, "", f"{count} rows can be read of {expected}", COPY_AGAIN)


def _in_order(database: _ReadOnly) -> Iterator[Any]:
    """All rows (`AtomsRow`) by their numbers, `AT_ONCE` in memory."""
    last, rest = -(2**63), True
    while rest:
        rest = False
        for row in database.select([("id", ">", last)], sort="id", limit=AT_ONCE):
            last, rest = row.id, True
            yield row


def _unreadable(path: Path, entry: str, error: Exception) -> DataError:
    return DataError(path, entry, f"it is no ASE database that can be read ({error!r:.200})", COPY_AGAIN)


def _refuse_others(path: Path) -> None:
    """Refuse databases of something else, and those that another program is writing."""
    for ending in BESIDE:
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise DataError(
                path, "", f"{beside.name} has rows that are not yet in it", "close the program that writes it"
            )
    opened = connection(path)
    try:
        kinds = dict(opened.execute("SELECT name, type FROM sqlite_master WHERE name IN ('systems', 'information')"))
    finally:
        opened.close()
    if kinds != {"systems": "table", "information": "table"}:
        raise DataError(
            path,
            "",
            "it is no ASE database: its tables systems and information are not both there",
            "name an ASE database",
        )


def _refuse_damaged(path: Path) -> int:
    """Refuse a database whose pages do not fit together; returns its number of rows."""
    opened = connection(path)
    try:
        (verdict,) = opened.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DataError(path, "", f"SQLite finds it damaged ({verdict})", COPY_AGAIN)
        (count,) = opened.execute("SELECT count(unique_id) FROM systems").fetchone()
    finally:
        opened.close()
    return count
