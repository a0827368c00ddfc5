"""Scale: which data, how wide, how long, which seeds; and the run configurations that follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from lib.data.datasets import MD22_SYSTEMS, SUITES, DataSet, family_of, find, label
from lib.data.readers import PUBLISHED_PARTS
from lib.data.splits import PUBLISHED
from lib.models import MODELS, PAPER_MODELS, make_settings
from lib.runs.config import Limits, RunConfig, check_share
from lib.study.cells import SIGMA, Cell
from lib.training.settings import TrainingSettings

PRE_TRAINING_DATA = ("ani1", "ani1x")  # always both together (section 3.1)
FORCE_WEIGHT = 10.0  # of the loss, where forces are learnt
Value = TypeVar("Value")


@dataclass(frozen=True)
class ByData(Generic[Value]):
    """A value by data set: ``exceptions`` by name (``md22/DHA``) or family (``md22``, ``own``), else ``default``."""

    default: Value
    exceptions: Mapping[str, Value] = field(default_factory=dict)

    def of(self, data: str) -> Value:
        """The value of the data set ``data``, a name without its suite."""
        return self.exceptions.get(data, self.exceptions.get(family_of(data), self.default))

    def but(self, names: Iterable[str], value: Value) -> "ByData[Value]":
        """The same with another ``value`` for the data sets or families ``names``."""
        return replace(self, exceptions={**self.exceptions, **dict.fromkeys(names, value)})


@dataclass(frozen=True)
class PretrainingPlan:
    """How a scale pre-trains: settings, highest learning rates of the models where they differ, limits by data set."""

    training: TrainingSettings
    rates: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def training_of(self, model: str) -> TrainingSettings:
        """The settings of ``model``."""
        return replace(self.training, learning_rate=self.rates.get(model, self.training.learning_rate))


@dataclass(frozen=True)
class FinetuningPlan:
    """How a scale trains energies.

    Attributes:
        training: settings by data set.
        rates: candidate learning rates by data set (`rates.rate_of`). One: no choice.
        limits: how many conformations, by data set.
        baseline: what is taken off the energies (`scaling.BASELINES`).
        constant_steps: a smaller share of the training conformations is passed more often, so that steps and schedule
            stay about the same (a last batch that is not full counts as a step); without it, epochs stay the same, as
            in the paper.
    """

    training: ByData[TrainingSettings]
    rates: ByData[tuple[float, ...]]
    limits: ByData[Limits] = field(default_factory=lambda: ByData(Limits()))
    baseline: str = "composition"
    constant_steps: bool = True


@dataclass(frozen=True)
class Exceptions:
    """Where a scale departs from the full matrix, for its cost or its evidence.

    Attributes:
        md22_seeds: by model, how many of the seeds it takes on MD22; all where it is left out.
        control_models: those for which training from scratch for longer is compared (`matrix.controls`), with the
            first seed.
        longer_systems: by model, the systems of MD22 on which neither arm learnt enough to be evidence; both arms are
            trained for longer there too, with the first seed.
        smallest_shares: by data set, the smallest share of the training conformations that Figure 4 shows.
        force_models: the default models that learn forces.
    """

    md22_seeds: Mapping[str, int] = field(default_factory=dict)
    control_models: tuple[str, ...] = PAPER_MODELS
    longer_systems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    smallest_shares: Mapping[str, float] = field(default_factory=dict)
    force_models: tuple[str, ...] = ("torchmd_net",)


@dataclass(frozen=True)
class OwnPlan:
    """How a scale treats a user's own molecules.

    Attributes:
        n_train: numbers of labelled training conformations of the learning curve.
        pretraining_steps: about how many steps, at least, pre-training on one's own conformations takes; 0 leaves it at
            the epochs of the scale's pre-training.
    """

    n_train: tuple[int, ...] = (20, 50, 200)
    pretraining_steps: int = 0


@dataclass(frozen=True)
class Cost:
    """Measured speed: by model and task, seconds in which a conformation of 18 atoms passes one training step on one
    core.
    """

    seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def of(self, model: str, task: str) -> float:
        """Seconds for one conformation; NaN where they were not measured."""
        return self.seconds.get(model, {}).get(task, float("nan"))


@dataclass(frozen=True)
class Scale:
    """One scale.

    Attributes:
        suite: a name of `datasets.SUITES`.
        widths: model settings by model name; settings that are left out have the paper's value.
        seeds: the default seeds.
        pretraining: how denoising is trained.
        finetuning: how energies are trained.
        models: the default models.
        systems: the default systems of MD22.
        exceptions: where the scale departs from the full matrix.
        own: how it treats a user's own molecules.
        cost: how fast its models train.
        picoseconds: of dynamics.
    """

    suite: str
    widths: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    pretraining: PretrainingPlan
    finetuning: FinetuningPlan
    models: tuple[str, ...] = PAPER_MODELS
    systems: tuple[str, ...] = tuple(MD22_SYSTEMS)
    exceptions: Exceptions = field(default_factory=Exceptions)
    own: OwnPlan = field(default_factory=OwnPlan)
    cost: Cost = field(default_factory=Cost)
    picoseconds: float = 10.0

    @property
    def label(self) -> str:
        """The suite's name for tables and figures."""
        return SUITES[self.suite]

    def data_label(self, data: str) -> str:
        """What tables and figures call the data set ``data`` at this scale."""
        return label(self.suite, data)

    def title_of(self, data: str) -> str:
        """`data_label`, and the system where ``data`` has one, as the names of trials have it."""
        return " ".join(filter(None, (self.data_label(data), MD22_SYSTEMS.get(data.partition("/")[2], ""))))

    def settings(self, model: str) -> Any:
        """The settings of ``model`` at this scale.

        Raises:
            ValueError: unknown model.
        """
        return make_settings(model, self.widths.get(model, {}))

    def for_dynamics(self) -> "Scale":
        """The same scale with models fit for molecular dynamics: `smooth` and `extensive`."""
        return self.smooth().extensive()

    def smooth(self) -> "Scale":
        """The same scale with energies continuous at the cutoff, and EGNN on Gaussians of the distance. Pre-trained
        layers differ from those of the paper's models.
        """
        scale = self._with(smooth_cutoff=True)
        return replace(scale, widths={**scale.widths, "egnn": {**scale.widths["egnn"], "num_rbf": 32}})

    def extensive(self) -> "Scale":
        """The same scale with energies that are sums over atoms, a repulsion of nuclei at short range, and a baseline
        that is a sum over atoms too. Pre-training stays as it is: layers do not depend on the read-out.
        """
        scale = self._with(atomwise=True, repulsion=True)
        return replace(scale, finetuning=replace(scale.finetuning, baseline="atoms"))

    def _with(self, **settings: bool) -> "Scale":
        """The same scale with these ``settings`` of all models."""
        return replace(self, widths={model: {**self.widths.get(model, {}), **settings} for model in MODELS})

    def seeds_of(self, model: str, data: str, longer: int = 1) -> tuple[int, ...]:
        """The seeds of ``model`` on ``data`` with ``longer`` times the steps."""
        if longer > 1:
            return self.seeds[:1]
        return self.seeds[: self.exceptions.md22_seeds.get(model)] if family_of(data) == "md22" else self.seeds

    def rates_of(self, data: str) -> tuple[float, ...]:
        """Candidate learning rates of the energy of ``data``."""
        return self.finetuning.rates.of(data)

    def pretrain(self, model: str, seed: int, sigma: float = SIGMA, strict_split: bool = True) -> RunConfig:
        """Pre-training of ``model``: ANI-1 and ANI-1x together.

        Raises:
            ValueError: unknown model, or a σ (Å) that is not positive.
        """
        data = tuple(find(f"{self.suite}/{name}") for name in PRE_TRAINING_DATA)
        settings = self.settings(model).of_layers()
        return RunConfig("denoising", data, model, settings, self.pretraining.training_of(model), seed,
                         sigma=sigma, limits=self.pretraining.limits, strict_split=strict_split)  # fmt: skip

    def finetune(
        self,
        cell: Cell,
        learning_rate: float,
        seed: int,
        dataset: DataSet | None = None,
        split_order: str | None = None,
        strict_split: bool = True,
    ) -> RunConfig:
        """The run of ``cell`` that learns energies, from the layers of `pretrain` or from scratch.

        Args:
            cell: with forces to learn, inputs are not normalised (`TrainingSettings`).
            learning_rate: the highest one.
            seed: of the run and of its pre-training.
            dataset: one's own, called ``cell.data``, instead of the suite's.
            split_order: of `splits.ORDERS`; None is the published split where the data set has one, else random.
            strict_split: of the pre-training.

        Raises:
            ValueError: unknown model or data set, or a share that is not above 0 and at most 1.
        """
        check_share(cell.share)
        plan, dataset = self.finetuning, dataset or find(f"{self.suite}/{cell.data}")
        training = plan.training.of(cell.data).stretched(round(1 / cell.share) if plan.constant_steps else 1)
        training = replace(
            training,
            learning_rate=learning_rate,
            force_weight=cell.force_weight,
            normalise=training.normalise and not cell.force_weight,
            epochs=cell.longer * training.epochs,
            validate_every=cell.longer * training.validate_every,
        )
        order = split_order or (PUBLISHED if dataset.reader in PUBLISHED_PARTS else "random")
        source = self.pretrain(cell.model, seed, cell.sigma, strict_split) if cell.pretrained else None
        return RunConfig("energy", (dataset,), cell.model, self.settings(cell.model), training, seed,
                         baseline=plan.baseline, limits=plan.limits.of(cell.data), pretrained=source,
                         share=cell.share, split_order=order)  # fmt: skip
