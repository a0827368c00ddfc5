"""Sources: fetch the published files, check them, unpack them, and hold what they contain against Table 1.

What and where is in ``data/sources.yml``. Downloads go through pooch, continue where they broke off, and are checked by
MD5; a file whose checksum is not known is trusted once, its checksum written beside it and checked ever after.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import requests
import yaml
from tqdm import tqdm

from lib.data.readers.archives import unpack
from lib.data.store import ConformationStore
from lib.errors import DataError, look_up
from lib.files import write_text, writing
from lib.paths import DATA

SOURCES = DATA / "sources.yml"


@dataclass(frozen=True)
class SourceFile:
    """One file to fetch; ``md5`` and ``bytes`` are None where not known."""

    url: str
    name: str
    md5: str | None
    bytes: int | None


@dataclass(frozen=True)
class Source:
    """One published data set; ``table1`` is the paper's count of molecules, conformations, elements and atoms."""

    page: str
    citation: str
    licence: str
    level: str
    units: dict[str, str]
    files: tuple[SourceFile, ...]
    table1: dict[str, Any]
    note: str


def load_sources(path: Path = SOURCES) -> dict[str, Source]:
    """Every source by name.

    Raises:
        DataError: the file has a key that is not one of `Source`'s, or lacks one.
    """
    out = {}
    for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        try:
            out[name] = Source(**{**entry, "files": tuple(SourceFile(**file) for file in entry["files"])})
        except (TypeError, KeyError) as error:
            raise DataError(path, name, str(error), "an entry has the keys of lib.data.sources.Source") from error
    return out


def find_source(name: str) -> Source:
    """The source called ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    return look_up(load_sources(), name, "published data set")


def fetch(files: Sequence[SourceFile], folder: Path, progress: bool = True) -> list[Path]:
    """Download what is not there, check it, and unpack archives into ``folder``.

    Returns:
        The downloaded files.

    Raises:
        DataError: the server refuses, the connection breaks (call again to go on), or a checksum is wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_fetch_one(file, folder, progress) for file in files]


def _fetch_one(file: SourceFile, folder: Path, progress: bool) -> Path:
    path = folder / file.name
    expected = _checksum(file, folder)
    if path.exists() and expected is not None and pooch.file_hash(path, alg="md5") == expected:
        _unpack(path)
        return path
    downloader = _Resuming(folder / f".{file.name}.part", file.bytes, progress)
    known = None if expected is None else f"md5:{expected}"
    try:
        with writing(path):
            pooch.retrieve(file.url, known, fname=file.name, path=folder, downloader=downloader)
    except requests.HTTPError as error:
        raise DataError(path, "", f"{error}", "look for the file on the data set's page") from error
    except requests.RequestException as error:
        raise DataError(
            path, "", f"the download of {file.url} broke off ({error})", "call again, it goes on"
        ) from error
    except ValueError as error:  # pooch, of a wrong checksum
        raise DataError(
            path, "", f"{file.url} has another checksum than {expected}", "delete it, fetch again"
        ) from error
    if expected is None:
        write_text(_hidden(path, "md5"), pooch.file_hash(path, alg="md5") + "\n")
    _hidden(path, "unpacked").unlink(missing_ok=True)
    _unpack(path)
    return path


def _unpack(path: Path) -> None:
    """Unpack ``path`` beside itself where it is an archive that was not yet unpacked to its end."""
    done = _hidden(path, "unpacked")
    if path.name.endswith(".tar.gz") and not done.exists():
        unpack(path, path.parent)
        done.touch()


def verify(files: Sequence[SourceFile], folder: Path) -> dict[str, str]:
    """What each file is: ``as published``, ``as first fetched``, ``missing``, ``of no known checksum`` where it was not
    fetched and none is published, or ``changed``.
    """
    out = {}
    for file in files:
        path = folder / file.name
        expected = _checksum(file, folder)
        if not path.exists():
            out[file.name] = "missing"
        elif expected is None:
            out[file.name] = "of no known checksum"
        elif pooch.file_hash(path, alg="md5") != expected:
            out[file.name] = "changed"
        else:
            out[file.name] = "as published" if file.md5 else "as first fetched"
    return out


def counted(store: ConformationStore) -> dict[str, Any]:
    """The numbers of Table 1 as ``store`` holds them: molecules, conformations, elements, [fewest, most] atoms."""
    return {
        "molecules": len(store.names),
        "conformations": len(store),
        "elements": len(np.unique(store.arrays["z"])),
        "atoms": [int(store.n_atoms.min()), int(store.n_atoms.max())],
    }


def beside_table1(store: ConformationStore, source: Source) -> list[str]:
    """One line a number of Table 1: what the store holds, what the paper prints, and whether they differ."""
    held = counted(store)
    lines = []
    for key, printed in source.table1.items():
        verdict = "as in Table 1" if held[key] == printed else f"Table 1 prints {printed}"
        lines.append(f"{key}: {held[key]} ({verdict})")
    return [*lines, f"note: {source.note}"]


def _hidden(path: Path, what: str) -> Path:
    """A hidden file beside ``path`` that says something of it; readers of the folder do not see it."""
    return path.with_name(f".{path.name}.{what}")


def _checksum(file: SourceFile, folder: Path) -> str | None:
    """The published checksum, or the one written when the file was first fetched."""
    first = _hidden(folder / file.name, "md5")
    return file.md5 or (first.read_text(encoding="utf-8").strip() if first.exists() else None)


@dataclass(frozen=True)
class _Resuming:
    """A downloader for pooch that keeps what has arrived in ``part`` and asks only for the rest."""

    part: Path
    size: int | None
    progress: bool

    def __call__(self, url: str, output_file: str, _: pooch.Pooch | None) -> None:
        """Download ``url`` to ``output_file``."""
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
            if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()  # it is not the beginning of that file
                self(url, output_file, None)
                return
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            total = self.size or int(answer.headers.get("Content-Length", 0)) + (have if resumed else 0) or None
            bar = tqdm(
                total=total, initial=have if resumed else 0, unit="B", unit_scale=True, disable=not self.progress
            )
            with open(self.part, "ab" if resumed else "wb") as out, bar:
                for chunk in answer.iter_content(1 << 16):
                    out.write(chunk)
                    bar.update(len(chunk))
        os.replace(self.part, output_file)
