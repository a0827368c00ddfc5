"""Upkeep of the run store: check what it holds, and clear what nobody needs."""

import math
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lib.errors import DataError
from lib.paths import RUNS
from lib.runs.config import FORMAT, key_of
from lib.runs.results import Result, load_result
from lib.runs.runner import all_stored

WHOLE = "whole"


def find_result(key: str) -> Result:
    """The stored result whose key begins with ``key``.

    Raises:
        ValueError: none does, or several do.
    """
    found = [result for result in all_stored() if result.key.startswith(key)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} stored runs begin with {key!r}: python -m lib runs list")
    return found[0]


def verify() -> dict[str, str]:
    """Whether each stored run is `WHOLE`: its settings make its key, and its files can be read; else what is wrong."""
    return {path.parent.name: _verdict(path.parent) for path in sorted(RUNS.glob("[!.]*/result.json"))}


def _verdict(folder: Path) -> str:
    try:
        result = load_result(folder)
        config, identity = result.about["config"], result.about["identity"]
        if key_of(identity) != result.key:
            return f"its settings make the key {key_of(identity)}: they were changed"
        if not _holds(config, identity):
            return "its settings are not those that make its key: they were changed"
        if config["format"] != FORMAT:
            return f"of format {config['format']}, this version's is {FORMAT}: nothing will find it"
        if not all(math.isfinite(value) for value in result.metrics.values()):
            return f"metrics {result.metrics} are not all finite"
        result.weights()
        result.history()
        if config["task"] == "energy":
            result.test_errors()
    except (DataError, OSError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return WHOLE


def _holds(whole: Any, part: Any) -> bool:
    """Whether ``part`` is in ``whole``, dictionaries key by key."""
    if not isinstance(part, dict):
        return whole == part
    return isinstance(whole, dict) and all(key in whole and _holds(whole[key], part[key]) for key in part)


def collect() -> list[Path]:
    """Remove the unfinished runs that no process trains, runs of another format, and locks nobody holds.

    Returns:
        What was removed. An unfinished run that is asked for again would have gone on where it stopped.
    """
    removed = []
    for lock in sorted(RUNS.glob(".*.lock")):
        try:
            with FileLock(lock, timeout=0):
                part = lock.with_suffix("")
                if part.is_dir():
                    shutil.rmtree(part)
                    removed.append(part)
                lock.unlink()
                removed.append(lock)
        except Timeout:
            continue
    for result in all_stored():
        if result.about["config"]["format"] != FORMAT:
            shutil.rmtree(result.path)
            removed.append(result.path)
    return removed
