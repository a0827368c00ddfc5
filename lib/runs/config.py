"""RunConfig: everything that decides the outcome of a run, frozen, checked, and hashed by content."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from numbers import Integral
from typing import Any

from lib import models
from lib.data.datasets import DataSet, fingerprint_of, references_of
from lib.data.splits import ORDERS, PUBLISHED
from lib.models.transfer import LAYERS, check_transfer
from lib.training.scaling import BASELINES
from lib.training.settings import TrainingSettings
from lib.training.tasks import task_entry

HELD_OUT = ("validation", "test")
FORMAT = 3  # part of every hash: raise it when the meaning of a setting or of its default changes
SIGMAS = (1e-4, 10.0)  # Å: less moves no float32 coordinate as it should, more leaves no molecule


@dataclass(frozen=True)
class Limits:
    """Largest number of conformations of each part, drawn from each data set; None takes all."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None


@dataclass(frozen=True)
class Start:
    """A weights file of energies that a run continues: its ``path``, and the ``checksum`` of its header."""

    path: str
    checksum: str


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's outcome.

    Attributes:
        task: a name of `tasks.TASKS`: ``denoising`` (pre-training) or ``energy`` (fine-tuning, or training from
            scratch).
        data: the data sets; pre-training takes all of them together, a run with labels takes one.
        model: a name of `models.MODELS`, with its ``settings``.
        training: optimiser and schedule.
        seed: of split, order, noise and initial weights.
        sigma: Å, standard deviation of the noise; with labels only where the noise has a weight in the loss
            (`TrainingSettings.noise_weight`).
        baseline: what is taken off the energies, one of `scaling.BASELINES`; with labels only.
        limits: how many conformations.
        share: of the training conformations within ``limits``, that a run with labels takes; smaller ones are nested.
        pretrained: the run whose message-passing layers a run with labels starts from: a pre-training, or a run with
            labels of other data, such as those of a cheaper level of theory, which may start from a third.
        split_order: one of `splits.ORDERS`, of a fine-tuning split, or ``published`` for the split that comes with the
            data set.
        strict_split: pre-training leaves out the test conformations of the fine-tuning split of the same seed; without
            it, it sees 95 % of all conformations, as the released code does.
        held_out: ``validation`` or ``test``, or both, with a data set of its own each; that part's share of ``data``
            then trains.
        start: the weights that a run with labels continues, energy head included.
        transfer: what is taken from ``pretrained``, one of `transfer.TRANSFERS`.
        lowest: the share of each molecule's conformations, those of the lowest energies, that train, validation and
            test of a run with labels are drawn from.
        single_precision: whether training and validation labels are rounded to float32 as total energies, before
            references are taken off (`loading.rounded_energy`), as in the released code.
        isolated_atoms: elements with the energies (kcal/mol) of isolated atoms, from which the baseline of a run with
            labels is fitted.
    """

    task: str
    data: tuple[DataSet, ...]
    model: str
    settings: Any
    training: TrainingSettings
    seed: int
    sigma: float | None = None
    baseline: str | None = None
    limits: Limits = field(default_factory=Limits)
    pretrained: "RunConfig | None" = None
    strict_split: bool = True
    split_order: str = "random"
    share: float = 1.0
    held_out: tuple[tuple[str, DataSet], ...] = ()
    start: Start | None = None
    transfer: str = LAYERS
    lowest: float = 1.0
    isolated_atoms: tuple[tuple[str, float], ...] = ()
    single_precision: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that cannot be run, before anything runs."""
        kind = models.entry(self.model).settings
        if not isinstance(self.settings, kind):
            raise ValueError(f"settings of {self.model} are {kind.__name__}, not {type(self.settings).__name__}")
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise ValueError(f"seed = {self.seed!r} must be a whole number from 0 on; several are a list, [0, 1]")
        if self.sigma is not None and not SIGMAS[0] <= self.sigma <= SIGMAS[1]:
            raise ValueError(
                f"sigma = {self.sigma!r} Å must be positive, from {SIGMAS[0]:g} to {SIGMAS[1]:g}, as the paper's 0.2"
            )
        if self.split_order not in (*ORDERS, PUBLISHED):
            raise ValueError(f"split_order = {self.split_order!r}: choose from {(*ORDERS, PUBLISHED)}")
        check_share(self.share)
        check_share(self.lowest, "lowest", "each molecule's conformations")
        if len({d.name for d in self.data}) < len(self.data):
            raise ValueError(f"data sets {[d.name for d in self.data]} must have different names")
        self._check_task()
        check_transfer(self.transfer, self.model, *([] if self.pretrained is None else [self.pretrained.task]))
        if self.transfer != LAYERS and self.pretrained is None:
            raise ValueError(f"transfer = {self.transfer!r} from nothing: name the pre-training, or leave {LAYERS!r}")
        if self.pretrained is not None:
            self._check_pretrained(self.pretrained)

    @property
    def labelled(self) -> bool:
        """Whether the task learns energies (`tasks.TaskEntry`)."""
        return task_entry(self.task).labelled

    def _check_task(self) -> None:
        """Refuse settings that belong to another kind of task."""
        self._check_noise()
        if self.labelled != (self.baseline in BASELINES):
            raise ValueError(
                f"baseline = {self.baseline!r} with task {self.task!r}: an energy run takes one of {BASELINES}"
            )
        if self.isolated_atoms and (not self.labelled or self.start is not None):
            raise ValueError(
                f"isolated_atoms = {dict(self.isolated_atoms)}: they are for the baseline of an energy run that "
                "continues no potential, which has one"
            )
        if self.single_precision and not self.labelled:
            raise ValueError(f"single_precision = True with task {self.task!r}: it is of labels, leave it out")
        if not self.labelled and (self.share, self.lowest) != (1, 1):
            raise ValueError(
                f"share = {self.share!r}, lowest = {self.lowest!r} with task {self.task!r}: only energy runs take less "
                "than all"
            )
        parts = [part for part, _ in self.held_out]
        if parts and not (self.labelled and set(parts) <= set(HELD_OUT) and len(set(parts)) == len(parts)):
            raise ValueError(f"held_out = {parts} with task {self.task!r}: an energy run takes {HELD_OUT}, each once")
        if parts and self.split_order == PUBLISHED:
            raise ValueError(f"held_out = {parts} with the published split: choose one of them")
        if self.start is not None and (not self.labelled or self.pretrained is not None):
            raise ValueError(f"start = {self.start.path!r}: an energy run continues weights, and not from pre-training")
        if self.labelled and len(self.data) != 1:
            raise ValueError(f"an energy run takes one data set, not {[d.name for d in self.data]}")

    def _check_noise(self) -> None:
        """Refuse noise that no term of the loss asks for, and terms without their noise or forces."""
        weight = self.training.noise_weight
        if weight and not self.labelled:
            raise ValueError(
                f"noise_weight = {weight!r} with task {self.task!r}: leave it at 0, the noise is all its loss"
            )
        if (self.labelled and not weight) == (self.sigma is not None):
            raise ValueError(
                f"sigma = {self.sigma!r} with task {self.task!r}: it belongs to denoising, and only there or with a "
                "noise_weight"
            )
        if weight and models.entry(self.model).module.denoises_with_head:
            raise ValueError(
                f"noise_weight = {weight!r} of {self.model}: its noise is minus the gradient of the energy that the "
                "same loss fits, which would turn the energy's sign; leave it at 0"
            )
        told = self.settings.told_forces
        if told and not (weight and self.training.learns_forces and models.entry(self.model).module.takes_forces):
            raise ValueError(
                f"told_forces = True of {self.model}: it is for denoising beside energies and forces (noise_weight and "
                "force_weight) of a model that takes forces in"
            )
        if weight and self.training.learns_forces and not told:
            raise ValueError(
                f"noise_weight = {weight!r} with force_weight = {self.training.force_weight!r}: a noised conformation "
                "has no labels of its forces; let the model be told them (told_forces), or set one weight to 0"
            )

    def _check_pretrained(self, source: "RunConfig") -> None:
        """``source`` must be a run of the same model that has not seen this run's test conformations."""
        if not self.labelled:
            raise ValueError(f"pretrained joins an energy run to an earlier run, not {self.task} to {source.task}")
        both = source.settings, self.settings
        theirs, own = (each.of_layers() if self.transfer == LAYERS else each.untold() for each in both)
        if (source.model, theirs) != (self.model, own):
            raise ValueError(f"pre-trained {source.model} {source.settings} is not {self.model} {self.settings}")
        for earlier in source.chain():
            self._check_unseen(earlier)

    def _check_unseen(self, earlier: "RunConfig") -> None:
        """``earlier``, one of those that this run starts from, must not have learnt from what this one is tested on."""
        names, own = {d.name for d in earlier.data}, {d.name for d in self.data}
        shared = sorted(names & (own | {d.name for _, d in self.held_out}))
        if shared and earlier.labelled:
            raise ValueError(f"a run that this one starts from has learnt the labels of {shared} before")
        if (
            names & own
            and earlier.strict_split
            and (earlier.seed, earlier.split_order) != (self.seed, self.split_order)
        ):
            raise ValueError(
                f"the pre-training of seed {earlier.seed} has seen test conformations of seed {self.seed}: "
                "take the one of the same seed and split_order"
            )

    def chain(self) -> "list[RunConfig]":
        """The runs that lead to this one, the earliest first, and this one."""
        return [*([] if self.pretrained is None else self.pretrained.chain()), self]

    def describe(self, whole: bool = True) -> dict[str, Any]:
        """The settings as JSON values, data sets by fingerprint; not ``whole``: without settings at their default."""
        out = asdict(self) if whole else _without_defaults(self)
        out["data"] = [{"reader": d.reader, "fingerprint": fingerprint_of(d)} for d in self.data]
        if self.labelled:
            out["references"] = [references_of(d) for d in self.data]
        if self.held_out:
            out["held_out"] = {part: fingerprint_of(dataset) for part, dataset in self.held_out}
        if self.start is not None:
            out["start"] = self.start.checksum
        out["pretrained"] = None if self.pretrained is None else self.pretrained.describe(whole)
        return out | {"format": FORMAT}

    def key(self) -> str:
        """The content hash, 16 hexadecimal digits; a new setting does not change it while it is at its default."""
        return key_of(self.describe(whole=False))


def check_share(share: float, name: str = "share", whole: str = "the training conformations") -> None:
    """Check a share, called ``name``, of the ``whole``.

    Raises:
        ValueError: it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"{name} = {share!r} of {whole} must be above 0 and at most 1")


def key_of(identity: dict[str, Any]) -> str:
    """The hash of what `RunConfig.describe` gives with ``whole`` False."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _without_defaults(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass, and of dataclasses in it, that have no default or differ from it."""
    out = {}
    for field_ in fields(settings):
        value = getattr(settings, field_.name)
        default = field_.default_factory() if callable(field_.default_factory) else field_.default
        if value != default:
            out[field_.name] = _without_defaults(value) if is_dataclass(value) else value
    return out
