"""Checksums of a finished run: ``checksums.json`` holds the SHA-256 of every file of its folder.

A file is held against its checksum when it is read (`refuse_changed`); ``runs verify`` reads all of them.
"""

import hashlib
import json
from pathlib import Path

from lib.errors import DataError

SEAL = "checksums.json"
REMEDY = "remove its folder and train it again"
LEFT_OUT = ("*.ckpt*", "events.out.*", SEAL)  # checkpoints go when the run is stored; logs of others may still grow


def seal(folder: Path) -> None:
    """Write the checksums of all files of a finished run in ``folder``, as its last file."""
    (folder / SEAL).write_text(json.dumps(checksums(folder), indent=1), encoding="utf-8")


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of the files in ``folder`` and below, by their relative path; without those of `LEFT_OUT`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not any(path.match(pattern) for pattern in LEFT_OUT)
    }


def refuse_changed(path: Path) -> None:
    """Refuse a file of a finished run that is about to be read and is not what was sealed; unsealed runs pass.

    Raises:
        DataError: it was changed since, or the checksums cannot be read.
    """
    sealed = _sealed(path.parent) if path.is_file() else None
    if sealed is None or sealed.get(path.name) == hashlib.sha256(path.read_bytes()).hexdigest():
        return
    state = "is changed" if path.name in sealed else "is new"
    raise DataError(path, "", f"since it was stored, {path.name} {state}", REMEDY)


def _sealed(folder: Path) -> dict[str, str] | None:
    """What ``folder`` was sealed with; None where it never was.

    Raises:
        DataError: the checksums cannot be read.
    """
    path = folder / SEAL
    try:
        sealed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, "", f"it holds no checksums ({error})", REMEDY) from error
    if sealed is not None and not isinstance(sealed, dict):
        raise DataError(path, "", "it holds no checksums", REMEDY)
    return sealed


def seal_problem(folder: Path) -> str | None:
    """Which files of ``folder`` were changed, removed or added since it was sealed; None where it never was.

    Raises:
        DataError: the checksums themselves cannot be read.
    """
    sealed = _sealed(folder)
    if sealed is None:
        return None
    now = checksums(folder)
    names = sorted(name for name in sealed.keys() | now.keys() if sealed.get(name) != now.get(name))
    states = {name: "missing" if name not in now else "new" if name not in sealed else "changed" for name in names}
    return f"since it was stored, {', '.join(f'{n} is {s}' for n, s in states.items())}" if states else None
