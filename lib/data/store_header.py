"""The header of a conformation store: its format, the checksums of its files, and what makes a folder a store."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib.errors import DataError

FORMAT = "conformation store 1"
UNITS = {"positions": "angstrom", "energy": "kcal/mol", "forces": "kcal/mol/angstrom", "charges": "e"}
ARRAYS: dict[str, tuple[str, str, int]] = {  # name: (type, counted by, columns)
    "z": ("u1", "atoms", 1),
    "charges": ("i1", "atoms", 1),
    "n_atoms": ("<i4", "molecules", 1),
    "n_conformations": ("<i8", "molecules", 1),
    "energy": ("<f8", "conformations", 1),
    "positions": ("<f4", "rows", 3),
    "forces": ("<f4", "rows", 3),
    "rows": ("<i8", "conformations", 1),
}
COUNTS = ("molecules", "conformations", "atoms", "rows")
OPTIONAL = ("forces", "rows")  # in all molecules of a store, or in none
CHECKSUM_OF_HEADER = "checksum_of_header"
HEADER, NAMES = "header.json", "names.json"
CONVERT_AGAIN = "convert the data set again"


def is_store(path: Path) -> bool:
    """Whether ``path`` is a folder with the files of a store and nothing else."""
    if path.is_symlink() or not path.is_dir():
        return False
    if not {file.name for file in path.iterdir()} <= {HEADER, NAMES, *(f"{name}.bin" for name in ARRAYS)}:
        return False
    try:
        return str(json.loads((path / HEADER).read_text(encoding="utf-8"))["format"]).startswith("conformation store")
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def read_header(path: Path) -> dict[str, Any]:
    """The header of the store at ``path``.

    Raises:
        DataError: it is none of this version, or not as it was written.
    """
    try:
        header = json.loads((path / HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, HEADER, f"not a conformation store ({error})", CONVERT_AGAIN) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("units") != UNITS:
        said = {key: header.get(key) for key in ("format", "units")} if isinstance(header, dict) else header
        raise DataError(path, HEADER, f"{said!r:.200} is not {FORMAT!r} in {UNITS}", CONVERT_AGAIN)
    checksum = checksum_of(header)
    if header.get(CHECKSUM_OF_HEADER, checksum) != checksum:
        raise DataError(path, HEADER, "it was changed since it was written", CONVERT_AGAIN)
    counts, arrays = header.get("counts"), header.get("arrays")
    whole = isinstance(counts, dict) and all(type(counts.get(key)) is int and counts[key] >= 0 for key in COUNTS)
    known = isinstance(arrays, list) and set(ARRAYS) - set(OPTIONAL) <= set(map(str, arrays)) <= set(ARRAYS)
    texts = all(isinstance(header.get(key), str) for key in ("level", "fingerprint"))
    if not (whole and known and texts and isinstance(header.get("checksums", {}), dict)):
        raise DataError(path, HEADER, "its counts, arrays, level, fingerprint or checksums are of another kind",
                        CONVERT_AGAIN)  # fmt: skip
    return header


def checksum_of(header: dict[str, Any]) -> str:
    """SHA-256 of a header but for this checksum."""
    told = {key: value for key, value in header.items() if key != CHECKSUM_OF_HEADER}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def check_files(path: Path, header: dict[str, Any], names: Iterable[str]) -> None:
    """Hold files against their checksums, where the header has any.

    Raises:
        DataError: naming the first that differs.
    """
    for name in names if "checksums" in header else ():
        try:
            with (path / name).open("rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(path, name, f"it cannot be read ({error})", CONVERT_AGAIN) from error
        if checksum != header["checksums"].get(name):
            raise DataError(path, name, "it was changed since it was written: its checksum is another", CONVERT_AGAIN)
