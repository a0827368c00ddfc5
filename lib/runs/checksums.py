"""Checksums of a finished run: ``checksums.json`` holds the SHA-256 of every file of its folder."""

import hashlib
import json
from pathlib import Path

SEAL = "checksums.json"
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


def seal_problem(folder: Path) -> str | None:
    """Which files of ``folder`` were changed, removed or added since it was sealed; None where it never was.

    Raises:
        ValueError: the checksums themselves cannot be read.
    """
    path = folder / SEAL
    if not path.exists():
        return None
    sealed, now = json.loads(path.read_text(encoding="utf-8")), checksums(folder)
    if not isinstance(sealed, dict):
        return f"{SEAL} holds no checksums"
    names = sorted(name for name in sealed.keys() | now.keys() if sealed.get(name) != now.get(name))
    states = {name: "missing" if name not in now else "new" if name not in sealed else "changed" for name in names}
    return f"since it was stored, {', '.join(f'{n} is {s}' for n, s in states.items())}" if states else None
