"""The settings of a stored or recorded run, typed, from the JSON values that `RunConfig.describe` wrote.

A `RunConfig` cannot be made of them: they tell data sets by the fingerprint of their content, not by their files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lib.models.transfer import LAYERS
from lib.runs.config import FORMAT, Limits, RunConfig
from lib.training.settings import TrainingSettings
from lib.training.tasks import task_entry

REQUIRED = {"task", "model", "seed", "data", "settings", "training"}
KNOWN = {"format", "references", *(f.name for f in fields(RunConfig))}  # what `RunConfig.describe` writes
RETIRED = {"weight_decay": 0.0, "energy_weight": 1.0}  # training settings of older records, with the value they all had


@dataclass(frozen=True)
class StoredData:
    """One data set: its ``name`` (None of a pre-training that a run starts from), ``reader`` and ``fingerprint``."""

    name: str | None
    reader: str
    fingerprint: str


@dataclass(frozen=True)
class StoredConfig:
    """The settings of a run, as `RunConfig` has them, but for ``data`` and for ``settings``, the model's by name.

    No table or figure asks for ``held_out``, ``start``, ``isolated_atoms`` and ``single_precision``: they are left out.
    """

    task: str
    model: str
    seed: int
    data: tuple[StoredData, ...]
    settings: Mapping[str, Any]
    training: TrainingSettings
    sigma: float | None = None
    baseline: str | None = None
    limits: Limits = field(default_factory=Limits)
    pretrained: "StoredConfig | None" = None
    strict_split: bool = True
    split_order: str = "random"
    share: float = 1.0
    transfer: str = LAYERS
    lowest: float = 1.0
    format: int = FORMAT

    @property
    def labelled(self) -> bool:
        """Whether the task learns energies (`tasks.TaskEntry`)."""
        return task_entry(self.task).labelled

    @staticmethod
    def from_json(values: Mapping[str, Any], names: Iterable[str] = ()) -> "StoredConfig":
        """Of the JSON ``values``; ``names`` are those of the data sets, where they are known.

        Raises:
            ValueError: a setting is missing, or one that this version does not have.
        """
        if missing := sorted(REQUIRED - set(values)):
            raise ValueError(f"the settings of the run lack {missing}")
        if unknown := sorted(set(values) - KNOWN):
            raise ValueError(f"settings {unknown} of the run are unknown to this version")
        known = {f.name: values[f.name] for f in fields(StoredConfig) if f.name in values}
        by_name: list[str | None] = list(names) or [None] * len(values["data"])
        if len(by_name) != len(values["data"]):
            raise ValueError(f"the run has {len(values['data'])} data sets and splits of {by_name}")
        sets = tuple(StoredData(n, d["reader"], d["fingerprint"]) for n, d in zip(by_name, values["data"], strict=True))
        source = values.get("pretrained")
        return StoredConfig(
            **known
            | {
                "data": sets,
                "training": _training(values["training"]),
                "limits": Limits(**values.get("limits", {})),
                "pretrained": None if source is None else StoredConfig.from_json(source),
            }
        )


def _training(values: Mapping[str, Any]) -> TrainingSettings:
    """Typed, without those of `RETIRED` that have the only value that is still trained with."""
    current = {name: value for name, value in values.items() if name not in RETIRED or value != RETIRED[name]}
    unknown = sorted(set(current) - {f.name for f in fields(TrainingSettings)})
    if unknown:
        raise ValueError(f"training settings {unknown} of the run are unknown to this version")
    return TrainingSettings(**current)
