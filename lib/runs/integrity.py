"""Integrity: whether stored and recorded results are what a run left, and upkeep that no broken folder stops.

A finished run is sealed by checksums of its files (`checksums`). `verify` reads all of them
again, recomputes the metrics from the predictions, and checks that key, settings, history and weights belong together;
of records it recomputes the metrics from the recorded errors.
"""

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from lib.errors import DataError
from lib.files import in_cache
from lib.models import make_settings
from lib.models.weights import of_this_version
from lib.runs import results, runner
from lib.runs.checksums import REMEDY, SEAL, seal_problem
from lib.runs.config import FORMAT, key_of
from lib.runs.evaluation import scores
from lib.runs.results import RESULT, Result, find_record, load_result
from lib.training.metrics import metric_of
from lib.training.tasks import TASKS

WHOLE = "whole"
UNSEALED = "whole as far as can be told: stored by a version that wrote no checksums"
GOOD = (WHOLE, UNSEALED)
KEY = re.compile(r"[0-9a-f]{16}")
ROUNDED = 1e-3  # relative: recorded errors have four digits
SAME = 1e-6  # relative, of sums in another order
LOSS = "validation_loss"  # decides where forces are learnt


def stored_folders() -> list[Path]:
    """Everything in the run store that is not hidden, by name: results, and what should not be there.

    Raises:
        OSError: the run store cannot be read.
    """
    try:
        with in_cache():
            paths = sorted(runner.RUNS.iterdir())
    except FileNotFoundError:  # nothing was trained yet
        return []
    return [path for path in paths if not path.name.startswith(".")]


def readable() -> tuple[list[Result], dict[str, str]]:
    """The stored results that can be read, by key, and by the name of what else is there, what is wrong with it."""
    good, bad = [], {}
    for folder in stored_folders():
        try:
            good.append(read_result(folder))
        except (DataError, OSError) as error:
            bad[folder.name] = str(error)
    return good, bad


def read_result(folder: Path) -> Result:
    """The result in ``folder``, with the parts that every command needs.

    Raises:
        DataError: it is no result: no folder, or ``result.json`` is missing, broken, or lacks a part.
    """
    path = folder / RESULT
    if not path.is_file():
        raise DataError(folder, "", f"it holds no {RESULT}, so it is not a finished run", "remove it")
    try:
        result = load_result(folder)
    except (KeyError, TypeError) as error:
        raise DataError(path, "", f"it is no result (no metrics with their settings: {error!r})", REMEDY) from error
    about, metrics = result.about, result.metrics
    if not isinstance(about, dict) or not isinstance(metrics, dict):
        raise DataError(path, "", "it is no result (metrics and about must be tables)", REMEDY)
    for part in ("config", "identity", "units", "splits", "provenance"):
        if not isinstance(about.get(part), dict):
            raise DataError(path, f"about.{part}", f"a table is expected, not {about.get(part)!r}", REMEDY)
    missing = [name for name in ("task", "model", "seed", "format", "training") if name not in about["config"]]
    if missing or about["config"]["task"] not in TASKS:
        raise DataError(path, "about.config", f"{missing or 'task'} is missing or unknown", REMEDY)
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise DataError(path, f"metrics.{name}", f"a number is expected, not {value!r}", REMEDY)
        if not isinstance(about["units"].get(name), str):
            raise DataError(path, f"about.units.{name}", "the metric has no unit", REMEDY)
    return result


def find_readable(key: str) -> Result:
    """The stored result whose key begins with ``key``, or the recorded one whose key it is.

    Raises:
        ValueError: there is none, several begin so, or it cannot be read.
    """
    names = [folder.name for folder in stored_folders() if folder.name.startswith(key)]
    if not names and KEY.fullmatch(key) and (record := find_record(key)) is not None:
        return record
    if len(names) != 1:
        raise ValueError(f"{len(names)} stored runs begin with {key!r}: python -m lib runs list")
    return read_result(runner.RUNS / names[0])


def find_whole(key: str) -> Result:
    """`find_readable`, checked from end to end.

    Raises:
        ValueError: there is no such result, or it is not whole; the message says what is wrong.
    """
    result = find_readable(key)
    refuse_broken(result)
    return result


def refuse_broken(result: Result) -> None:
    """Refuse a result, stored or recorded, that is not what a run left.

    Raises:
        ValueError: naming what is wrong.
    """
    verdict = record_verdict(result.path) if result.recorded else verdict_of(result.path)
    if verdict not in GOOD:
        remedy = "restore it: git checkout data/results" if result.recorded else REMEDY
        raise ValueError(f"{result.path}: {verdict}; {remedy}")


def verify() -> dict[str, str]:
    """By name of everything in the run store, whether it is whole (`GOOD`); else what is wrong."""
    return {folder.name: verdict_of(folder) for folder in stored_folders()}


def verify_records() -> dict[str, str]:
    """By key of each record, whether it is `WHOLE`; else what is wrong with it."""
    return {path.name.split(".")[0]: record_verdict(path) for path in sorted(results.RECORDS.glob("*/*.json.gz"))}


def verdict_of(folder: Path) -> str:
    """What is wrong with the stored run in ``folder``, or one of `GOOD`."""
    try:
        result = read_result(folder)
        for check in (_settings_problem, _seal_problem, _numbers_problem, _history_problem, _weights_problem):
            if problem := check(result):
                return problem
    except (DataError, OSError, KeyError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return WHOLE if (folder / SEAL).exists() else UNSEALED


def record_verdict(path: Path) -> str:
    """What is wrong with the record at ``path``, or `WHOLE`; its weights are checked where they are shipped."""
    try:
        content = results._read_record(path)
        result = Result(path.name.split(".")[0], path, content["metrics"], content["about"], recorded=True)
        checks: list[Callable[[Result], str | None]] = [_settings_problem, _history_problem, _recorded_problem]
        for check in [*checks, *([_weights_problem] if result.has_weights() else [])]:
            if problem := check(result):
                return problem
    except (DataError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return WHOLE


def _settings_problem(result: Result) -> str | None:
    config, identity = result.about["config"], result.about["identity"]
    if key_of(identity) != result.key:
        return f"its settings make the key {key_of(identity)}: they were changed"
    if not _holds(config, identity):
        return "its settings are not those that make its key: they were changed"
    if config["format"] != FORMAT:
        return f"of format {config['format']}, this version's is {FORMAT}: nothing will find it"
    wrong = {name: unit for name, unit in result.about["units"].items() if metric_of(name).unit != unit}
    return f"units {wrong} are not those of its metrics: they were changed" if wrong else None


def _holds(whole: Any, part: Any) -> bool:
    """Whether ``part`` is in ``whole``, dictionaries key by key."""
    if not isinstance(part, dict):
        return whole == part
    return isinstance(whole, dict) and all(key in whole and _holds(whole[key], part[key]) for key in part)


def _seal_problem(result: Result) -> str | None:
    return seal_problem(result.path)


def _numbers_problem(result: Result) -> str | None:
    """Metrics that are not finite, or not those of the predictions."""
    if not result.metrics or not all(math.isfinite(value) for value in result.metrics.values()):
        return f"metrics {result.metrics} are not all finite"
    if not TASKS[result.about["config"]["task"]].labelled:
        return None
    rows = result.predictions()
    recomputed: dict[str, float] = {}
    for part in np.unique(rows["part"]):
        recomputed |= scores(str(part), {key: values[rows["part"] == part] for key, values in rows.items()})
    return _contradiction(result.metrics, recomputed, SAME, "predictions")


def _recorded_problem(result: Result) -> str | None:
    """Metrics of a record that are not those of its errors, for which R² cannot be told."""
    if not TASKS[result.about["config"]["task"]].labelled:
        return None
    recomputed: dict[str, float] = {}
    for part in results._read_record(result.path)["errors"]["parts"]:
        rows = result.test_errors(part)
        recomputed |= {f"{part}_rmse": np.sqrt(np.mean(rows["error"] ** 2)), f"{part}_mae": np.mean(abs(rows["error"]))}
        if "components" in rows:
            number = rows["components"].sum()
            recomputed[f"{part}_force_rmse"] = np.sqrt(rows["force_squared"].sum() / number)
            recomputed[f"{part}_force_mae"] = rows["force_absolute"].sum() / number
    return _contradiction(result.metrics, recomputed, ROUNDED, "recorded errors")


def _contradiction(metrics: dict[str, float], recomputed: dict[str, float], tolerance: float, what: str) -> str | None:
    for name, value in recomputed.items():
        if name not in metrics:
            return f"its {what} give {name}, which its metrics lack"
        if not math.isclose(metrics[name], value, rel_tol=tolerance, abs_tol=tolerance):
            return f"{name} = {metrics[name]:.6g} is stated, but its {what} give {value:.6g}"
    tests = {name for name in metrics if name.startswith("test") and not name.endswith("_r2")}
    extra = sorted(tests - recomputed.keys())
    return f"{extra} are stated, but its {what} do not give them" if extra else None


def _history_problem(result: Result) -> str | None:
    """Validation metrics that the history does not hold, or that are not those of its best epoch."""
    history = result.history()
    monitor = LOSS if LOSS in result.metrics else TASKS[result.about["config"]["task"]].monitor
    if not isinstance(history, dict) or not isinstance(history.get(monitor), list) or not history[monitor]:
        return f"its history has no {monitor}"
    best = int(np.argmin(np.nan_to_num(np.array(history[monitor], dtype=float), nan=np.inf)))
    for name in sorted(set(history) & set(result.metrics)):
        if not math.isclose(history[name][best], result.metrics[name], rel_tol=SAME):
            return f"{name} = {result.metrics[name]:.6g} is stated, but its history gives {history[name][best]:.6g}"
    return None


def _weights_problem(result: Result) -> str | None:
    """Weights that cannot be read, are not finite, or are of another model or task than the settings say."""
    weights, config = result.weights(), result.about["config"]  # refuses another run's, where they name theirs
    expected = {"model": config["model"], "task": config["task"],
                "settings": make_settings(config["model"], config["settings"])}  # fmt: skip
    held = {"model": weights.about["model"], "task": weights.about.get("task"), "settings": weights.settings()}
    for name, value in expected.items():  # settings that a record is too old to name are at their default
        if held[name] != value:
            return f"its weights are of {name} {held[name]!r}, not {value!r}: another run's"
    target, others = result.about.get("target"), weights.about.get("target", {})
    # older runs have no compositions, which their shipped weights name
    if config["task"] == "energy" and (target is None or others | of_this_version(target) != others):
        return "its weights have another energy target (mean, std, level) than the run: another run's"
    if not all(bool(values.isfinite().all()) for values in weights.state.values()):
        return "its weights are not all finite"
    return None


def collect() -> list[Path]:
    """Remove the unfinished runs that no process trains, runs of another format, locks that nobody holds, and what is
    kept of the speed of runs.

    Only what a run left is removed: hidden folders and locks named by a key, and results that can be read. Anything
    else in the run store stays.

    Returns:
        What was removed. An unfinished run that is asked for again would have gone on where it stopped.
    """
    removed = sorted(runner.RUNS.glob(f".*{runner.STEPS_OF_MINUTES}"))
    for path in removed:
        path.unlink()
    for lock in sorted(runner.RUNS.glob(".*.lock")):
        if not KEY.fullmatch(lock.name[1 : -len(".lock")]) or lock.is_symlink() or not lock.is_file():
            continue
        try:
            with FileLock(lock, timeout=0):
                part = lock.with_suffix("")
                if part.is_dir() and not part.is_symlink():
                    shutil.rmtree(part)
                    removed.append(part)
                lock.unlink()
                removed.append(lock)
        except Timeout:
            continue
    for result in readable()[0]:
        if result.about["config"]["format"] != FORMAT and KEY.fullmatch(result.key) and not result.path.is_symlink():
            shutil.rmtree(result.path)
            removed.append(result.path)
    return removed
