"""Scale: which data, how wide, how long, which seeds; and the run configurations that follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lib.data.datasets import MD22_SYSTEMS, SUITES, DataSet, find, label
from lib.data.splits import PUBLISHED
from lib.models import MODELS, PAPER_MODELS, make_settings
from lib.runs.config import Limits, RunConfig, check_share
from lib.training.settings import TrainingSettings

PRE_TRAINING_DATA = ("ani1", "ani1x")  # always both together (section 3.1)
SIGMA = 0.2  # Å (section 3.6)
FORCE_WEIGHT = 10.0  # of the loss, where forces are learnt
SPLIT_ORDERS = {"iso17": PUBLISHED}  # section 3.1; the others are split at random


@dataclass(frozen=True)
class Scale:
    """One scale.

    Attributes:
        suite: a name of `datasets.SUITES`.
        widths: model settings by model name; what is left out has the paper's value.
        pretraining: training settings of denoising.
        pretraining_rates: highest learning rates of denoising, by model, where they are others.
        finetuning: training settings of the energy by data set (``md22/DHA``), or by its kind (``md22``).
        baseline: what is taken off the energies (`scaling.BASELINES`).
        learning_rates: candidates for the energy (`rates.choose_rate`). One: no choice.
        seeds: the default seeds.
        constant_steps: a smaller share of the training conformations is passed more often, so that steps and schedule
            stay about the same (a last batch that is not full counts as a step); without it, epochs stay the same, as
            in the paper.
        models: the default models.
        systems: the default systems of MD22.
        other_learning_rates: candidates by kind of data (``md22``, ``own``), where they are others.
        md22_seeds: how many of the seeds a model takes on MD22; all where it is left out.
        smallest_shares: by data set, the smallest share of the training conformations that says anything.
        control_models: those for which training from scratch for longer is compared (`matrix.controls`), with the
            first seed.
        longer_systems: by model, the systems of MD22 of which neither arm learnt enough to be evidence; both arms are
            trained for longer there too, with the first seed.
        pretraining_limits: how many conformations of each data set.
        finetuning_limits: the same by data set or kind; one that is left out is used whole.
        force_models: the default models that learn forces.
        picoseconds: of dynamics.
        own_pretraining_steps: about how many steps, at least, pre-training on one's own conformations takes; 0 leaves
            it at the epochs of ``pretraining``.
        labels: how many of one's own labelled conformations a learning curve takes.
        seconds: for one conformation of 18 atoms to pass one training step, (denoising, energy) by model on one core;
            measured.
    """

    suite: str
    widths: Mapping[str, Mapping[str, Any]]
    pretraining: TrainingSettings
    finetuning: Mapping[str, TrainingSettings]
    baseline: str
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    pretraining_rates: Mapping[str, float] = field(default_factory=dict)
    constant_steps: bool = True
    models: tuple[str, ...] = PAPER_MODELS
    systems: tuple[str, ...] = tuple(MD22_SYSTEMS)
    other_learning_rates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    md22_seeds: Mapping[str, int] = field(default_factory=dict)
    control_models: tuple[str, ...] = PAPER_MODELS
    longer_systems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    smallest_shares: Mapping[str, float] = field(default_factory=dict)
    pretraining_limits: Limits = field(default_factory=Limits)
    finetuning_limits: Mapping[str, Limits] = field(default_factory=dict)
    force_models: tuple[str, ...] = ("torchmd_net",)
    picoseconds: float = 10.0
    own_pretraining_steps: int = 0
    labels: tuple[int, ...] = (20, 50, 200)
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The suite's name for tables and figures."""
        return SUITES[self.suite]

    def data_label(self, data: str) -> str:
        """What tables and figures call the data set ``data`` at this scale."""
        return label(self.suite, data)

    def settings(self, model: str) -> Any:
        """The settings of ``model`` at this scale.

        Raises:
            ValueError: unknown model.
        """
        return make_settings(model, self.widths.get(model, {}))

    def for_dynamics(self) -> "Scale":
        """The same with models fit for molecular dynamics: energies continuous at the cutoff, and EGNN on Gaussians of
        the distance. Their pre-trained layers are others than the paper's models'.
        """
        own = {model: {**self.widths.get(model, {}), "smooth_cutoff": True} for model in MODELS}
        return replace(self, widths=own | {"egnn": {**own["egnn"], "num_rbf": 32}})

    def seeds_of(self, model: str, data: str, longer: int = 1) -> tuple[int, ...]:
        """The seeds of ``model`` on ``data`` with ``longer`` times the steps."""
        if longer > 1:
            return self.seeds[:1]
        return self.seeds[: self.md22_seeds.get(model)] if data.startswith("md22/") else self.seeds

    def training_of(self, data: str) -> TrainingSettings:
        """Training settings of the energy of ``data``: its own, or those of its kind."""
        return self.finetuning.get(data) or self.finetuning[data.split("/")[0]]

    def rates_of(self, data: str) -> tuple[float, ...]:
        """Candidate learning rates of the energy of ``data``."""
        return self.other_learning_rates.get(data.split("/")[0], self.learning_rates)

    def pretrain(self, model: str, seed: int, sigma: float = SIGMA, strict_split: bool = True) -> RunConfig:
        """Pre-training of ``model``: ANI-1 and ANI-1x together.

        Raises:
            ValueError: unknown model, or a σ (Å) that is not positive.
        """
        data = tuple(find(f"{self.suite}/{name}") for name in PRE_TRAINING_DATA)
        rate = self.pretraining_rates.get(model, self.pretraining.learning_rate)
        training = replace(self.pretraining, learning_rate=rate)
        return RunConfig("denoising", data, model, self.settings(model), training, seed, sigma=sigma,
                         limits=self.pretraining_limits, strict_split=strict_split)  # fmt: skip

    def finetune(
        self,
        model: str,
        data: str | DataSet,
        pretrained: bool,
        learning_rate: float,
        seed: int,
        longer: int = 1,
        share: float = 1.0,
        sigma: float = SIGMA,
        split_order: str | None = None,
        strict_split: bool = True,
        force_weight: float | None = None,
    ) -> RunConfig:
        """Energy of the data set ``data``, from pre-trained layers or from scratch.

        Args:
            model: its name.
            data: a data set of the suite (``ani1x``, ``md22/DHA`` …), or one's own.
            pretrained: whether the layers come from `pretrain`.
            learning_rate: the highest one.
            seed: of the run and of its pre-training.
            longer: times the epochs.
            share: of the training conformations.
            sigma: Å, of the pre-training.
            split_order: where it is not the data set's own.
            strict_split: of the pre-training.
            force_weight: of the loss; with forces to learn, inputs are not normalised (`TrainingSettings`).

        Raises:
            ValueError: unknown model or data set, or a share that is not above 0 and up to 1.
        """
        check_share(share)
        dataset, data = (data, data.name) if isinstance(data, DataSet) else (find(f"{self.suite}/{data}"), data)
        kind = data.split("/")[0]
        training = self.training_of(data).stretched(round(1 / share) if self.constant_steps else 1)
        training = replace(
            training,
            learning_rate=learning_rate,
            force_weight=force_weight,
            normalise=training.normalise and not force_weight,
            epochs=longer * training.epochs,
            validate_every=longer * training.validate_every,
        )
        source = self.pretrain(model, seed, sigma, strict_split) if pretrained else None
        limits = self.finetuning_limits.get(data) or self.finetuning_limits.get(kind, Limits())
        return RunConfig("energy", (dataset,), model, self.settings(model), training, seed, baseline=self.baseline,
                         limits=limits, pretrained=source, share=share,
                         split_order=split_order or SPLIT_ORDERS.get(data, "random"))  # fmt: skip
