"""Results of runs: as a run left them, or as they were recorded in small compressed text files of the project.

A record has the metrics, their provenance, the validation history, and the error of each test conformation; it has
neither the weights (some are shipped in `WEIGHTS`) nor the predictions.
"""

import gzip
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.store import ConformationStore
from lib.errors import DataError, required
from lib.files import whole_file
from lib.models.baseline import baseline_of_target
from lib.models.weights import SUFFIX, Weights, export_weights, load_weights, weights_of_run
from lib.paths import DATA
from lib.runs.checksums import REMEDY, refuse_changed
from lib.runs.config import key_of
from lib.runs.stored_config import StoredConfig

RECORDS, WEIGHTS = DATA / "results", DATA / "weights"
IGNORE = "DENOISING_FRESH"  # environment variable: where it is set and not empty, records are ignored
RESULT, HISTORY, PREDICTIONS = "result.json", "history.json", "predictions.npz"  # files of a run, beside its weights
DIGITS = 4  # of a recorded error, significant
FORCES = ("force_squared", "force_absolute", "components")  # of a conformation: (kcal/mol/Å)², kcal/mol/Å, number


@dataclass(frozen=True)
class Result:
    """A run's ``metrics``, and ``about``, the JSON values on its settings, units, splits, provenance and time.

    ``path`` is its folder or, where ``recorded``, the compressed text file.
    """

    key: str
    path: Path
    metrics: dict[str, float]
    about: dict[str, Any]
    recorded: bool = False

    @cached_property
    def config(self) -> StoredConfig:
        """The settings of the run.

        Raises:
            DataError: they are incomplete, or of a version with other settings.
        """
        try:
            return StoredConfig.from_json(self.about["config"], self.about["splits"])
        except (KeyError, TypeError, ValueError) as error:
            remedy = "remove the run, or read it with the version that wrote it"
            raise DataError(self.path, "config", f"{type(error).__name__}: {error}", remedy) from error

    def baselines(self, store: ConformationStore) -> NDArray[np.float64]:
        """Of an energy run, the baseline (n_molecules,) in kcal/mol of each molecule of ``store``."""
        molecule = np.repeat(np.arange(len(store.names)), store.n_atoms)
        return baseline_of_target(self.about["target"], store.types, molecule, len(store.names))

    @property
    def source(self) -> str:
        """For tables: whether the number is recorded or was trained on this machine."""
        return "recorded" if self.recorded else "trained"

    def predictions(self) -> dict[str, NDArray]:
        """Of an energy run's test conformations: ``index``, ``molecule``, ``part``, ``energy``, ``prediction`` and
        ``baseline`` (kcal/mol).

        Raises:
            DataError: it is a record.
        """
        if self.recorded:
            raise DataError(self.path, "", "a record has errors, not predictions", f"train it again: set {IGNORE}=1")
        path = self.path / PREDICTIONS
        refuse_changed(path)
        with np.load(path) as file:
            return dict(file)

    def test_errors(self, part: str = "test") -> dict[str, NDArray]:
        """Of the test conformations of ``part``, ascending: ``index`` and ``molecule`` in the store, ``error`` in
        kcal/mol; where forces were measured, `FORCES`, sums over each conformation's components.

        Raises:
            ValueError: the run has no such part.
        """
        if self.recorded:
            parts = _read_record(self.path)["errors"]["parts"]
            parts = {key: _from_steps(rows) for key, rows in parts.items()}
        else:
            parts = _by_part(self.predictions())
        if part not in parts:
            raise ValueError(f"run {self.key} has no test part {part!r}: choose from {sorted(parts)}")
        return parts[part]

    def history(self) -> dict[str, list[float]]:
        """Validation metrics by epoch (counted from 1)."""
        if self.recorded:
            return _read_record(self.path)["history"]
        path = self.path / HISTORY
        refuse_changed(path)
        return json.loads(path.read_text(encoding="utf-8"))

    @property
    def validation(self) -> float:
        """The metric by which energy runs are compared: the validation loss where forces are learnt, else the RMSE
        (kcal/mol); infinite where training diverged.
        """
        value = self.metrics.get("validation_loss", self.metrics["validation_rmse"])
        return value if np.isfinite(value) else np.inf

    def has_weights(self) -> bool:
        """Whether the file of `weights` exists."""
        return self._weights_file().exists()

    def weights(self) -> Weights:
        """The weights of the best epoch.

        Raises:
            DataError: the file is gone, broken or changed, or names another run.
        """
        path = self._weights_file()
        if not self.recorded:
            refuse_changed(path)
        weights = load_weights(path)
        run = weights.about.get("run", self.key)  # older ones do not say
        if run != self.key:
            raise DataError(path, "run", f"these are the weights of the run {run!r:.40}, not of {self.key}", REMEDY)
        return weights

    def _weights_file(self) -> Path:
        if not self.recorded:
            return self.path / f"weights{SUFFIX}"
        return weights_of_run(WEIGHTS, self.key) or WEIGHTS / f"{self.key}{SUFFIX}"

    def readable_name(self) -> str:
        """MODEL-SCALE[-dynamics][-extensive][-DATA]-seedN, the name of its weights: those of a run that is `record`-ed
        at a scale.

        Raises:
            DataError: it is not recorded.
        """
        if not self.recorded:
            raise DataError(self.path, "", "it is not recorded, so that it belongs to no scale", "record it first")
        config = self.config
        words = [config.model, self.path.parent.name]
        if config.settings.get("smooth_cutoff"):
            words.append("dynamics")
        if config.settings.get("atomwise"):
            words.append("extensive")
        if config.labelled:
            words.append(required(config.data[0].name, "name of the data set").split("/", 1)[1].replace("/", "-"))
        return "-".join([*words, f"seed{config.seed}"])


def _by_part(predictions: dict[str, NDArray]) -> dict[str, dict[str, NDArray]]:
    """Number, molecule and error of the conformations of each part, ascending."""
    out = {}
    for part in np.unique(predictions["part"]):
        rows = np.flatnonzero(predictions["part"] == part)
        rows = rows[np.argsort(predictions["index"][rows], kind="stable")]
        error = predictions["prediction"][rows] - predictions["energy"][rows]
        columns = {key: predictions[key][rows] for key in ("index", "molecule", *FORCES) if key in predictions}
        out[str(part)] = columns | {"error": error}
    return out


def _from_steps(rows: dict[str, list]) -> dict[str, NDArray]:
    """Numbers and errors from a record, which has differences between successive numbers, since these are short."""
    numbers = {key: np.cumsum(rows[f"{key} steps"]) for key in ("index", "molecule")}
    return numbers | {key: np.array(rows[key]) for key in ("error", *FORCES) if key in rows}


def load_result(folder: Path) -> Result:
    """The result that a run left in ``folder``, whose name is its key.

    Raises:
        DataError: its file is broken, or was changed since it was stored.
    """
    path = folder / RESULT
    refuse_changed(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(path, "", f"it is no result ({error})", "remove its folder") from error
    return Result(folder.name, folder, content["metrics"], content["about"])


def find_record(key: str) -> Result | None:
    """The recorded result ``key``, unless records are to be ignored."""
    return None if os.environ.get(IGNORE) else _recorded(key)


def _recorded(key: str) -> Result | None:
    """The recorded result ``key``."""
    for path in sorted(RECORDS.glob(f"*/{key}.json.gz")):
        content = _read_record(path)
        return of_its_settings(Result(key, path, content["metrics"], content["about"], recorded=True))
    return None


def of_its_settings(result: Result) -> Result:
    """``result``, whose settings must be those that make its key: a result of other settings is refused.

    Raises:
        DataError: they are others.
    """
    identity = result.about.get("identity")
    if identity is None or key_of(identity) != result.key:
        remedy = "restore it: git checkout data/results" if result.recorded else REMEDY
        raise DataError(result.path, "identity", f"its settings do not make the key {result.key}", remedy)
    return result


def _read_record(path: Path) -> dict[str, Any]:
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(path, "", f"it is no record ({error})", "restore it: git checkout data/results") from error


def ship_weights(result: Result) -> Path:
    """Write the weights of ``result``, which is recorded, to `WEIGHTS` under its readable name; records find them by
    the run that the header names. Where that name is another run's, the key follows it.

    Raises:
        DataError: it is not recorded.
    """
    known = _recorded(result.key)
    if known is None:
        raise DataError(result.path, "", "it is not recorded", "record it first: python -m lib runs record")
    path = WEIGHTS / f"{known.readable_name()}{SUFFIX}"
    if path.exists() and weights_of_run(WEIGHTS, result.key) != path:
        path = WEIGHTS / f"{known.readable_name()}-{result.key}{SUFFIX}"
    export_weights(result.weights(), result.about, result.key, path)
    return path


def record(result: Result, name: str) -> Path:
    """Write ``result`` to the records called ``name``, one line per item, the same bytes for the same result.

    Raises:
        ValueError: it is a record already, which lacks what a record is made from.
    """
    if result.recorded:
        raise ValueError(f"run {result.key} is recorded already, in {result.path}: name runs that were trained here")
    path = RECORDS / name / f"{result.key}.json.gz"
    content = {"metrics": result.metrics, "about": result.about, "history": result.history()}
    if (result.path / PREDICTIONS).exists():
        parts = {}
        for part, rows in _by_part(result.predictions()).items():
            values = {k: [float(f"{v:.{DIGITS}g}") for v in rows[k]] for k in ("error", *FORCES) if k in rows}
            steps = {f"{key} steps": np.diff(rows[key], prepend=0).tolist() for key in ("index", "molecule")}
            parts[part] = steps | values
        content["errors"] = {"unit": "kcal/mol", "parts": parts}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    with whole_file(path) as unfinished:
        unfinished.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path
