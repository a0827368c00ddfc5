"""Upkeep of the run store: verify its results, and remove what no run needs."""

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


def verify() -> dict[str, str]:
    """Whether each stored run is `WHOLE`: its settings make its key, and its files can be read; else what is wrong."""
    return {path.parent.name: _verdict(path.parent) for path in sorted(RUNS.glob("[!.]*/result.json"))}


def _verdict(folder: Path) -> str:
    try:
        result = load_result(folder)
        identity = result.about["identity"]
        if key_of(identity) != result.key:
            return f"its settings make the key {key_of(identity)}: they were changed"
        if not _contains(result.about["config"], identity):
            return "its settings are not those that make its key: they were changed"
        if _format(result) != FORMAT:
            return f"of format {_format(result)}, this version's is {FORMAT}: nothing will find it"
        if not all(math.isfinite(value) for value in result.metrics.values()):
            return f"metrics {result.metrics} are not all finite"
        result.weights()
        result.history()
        if result.config.labelled:
            result.test_errors()
    except (DataError, OSError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return WHOLE


def _format(result: Result) -> int:
    """As stored: `Result.config` may be unable to read the settings of another format."""
    return result.about["config"]["format"]


def _contains(whole: Any, part: Any) -> bool:
    """Whether ``whole`` contains ``part``, dictionaries key by key."""
    if not isinstance(part, dict):
        return whole == part
    return isinstance(whole, dict) and all(key in whole and _contains(whole[key], part[key]) for key in part)


def collect() -> list[Path]:
    """Remove unfinished runs that no process trains, runs of another format, and locks that no process holds.

    Returns:
        The removed files and folders. An unfinished run would have resumed where it stopped.
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
        if _format(result) != FORMAT:
            shutil.rmtree(result.path)
            removed.append(result.path)
    return removed
