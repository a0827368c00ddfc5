"""The three scales, defined once: which data, how wide, how long, which seeds. One code path serves all.

``smoke`` proves the machinery and claims no science; ``laptop`` shows the science on the mini suite; ``paper`` is the
paper's own settings on the published data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lib.config import Limits, RunConfig
from lib.datasets import MD22_SYSTEMS, SUITES, find, label
from lib.errors import look_up
from lib.models import make_settings
from lib.settings import TrainingSettings

PRE_TRAINING_DATA = ("ani1", "ani1x")  # always both together (section 3.1)
SMALL = ("ani1", "ani1x", "iso17", "spice")  # many molecules, up to some fifty atoms
SIGMA = 0.2  # Å (section 3.6)


@dataclass(frozen=True)
class Scale:
    """One scale.

    Attributes:
        suite: a name of `datasets.SUITES`.
        widths: model settings by model name; what is left out has the paper's value.
        pretraining: training settings of denoising.
        finetuning: training settings of the energy, by data set; the systems of MD22 share theirs.
        baseline: what is taken off the energies (`scaling.BASELINES`).
        learning_rates: candidates for the energy; each arm takes the best on validation data. One: no choice.
        seeds: the default seeds.
        models: the default models.
        systems: the default systems of MD22.
        pretraining_limits: how many conformations of each data set.
        finetuning_limits: the same by data set; one that is left out is used whole.
        seconds: for one conformation to pass one training step, (denoising, energy) by model on one core; measured.
    """

    suite: str
    widths: Mapping[str, Mapping[str, Any]]
    pretraining: TrainingSettings
    finetuning: Mapping[str, TrainingSettings]
    baseline: str
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    models: tuple[str, ...] = ("egnn",)
    systems: tuple[str, ...] = tuple(MD22_SYSTEMS)
    pretraining_limits: Limits = field(default_factory=Limits)
    finetuning_limits: Mapping[str, Limits] = field(default_factory=dict)
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

    def pretrain(self, model: str, seed: int, sigma: float = SIGMA) -> RunConfig:
        """Pre-training of ``model``: ANI-1 and ANI-1x together."""
        data = tuple(find(f"{self.suite}/{name}") for name in PRE_TRAINING_DATA)
        return RunConfig("denoising", data, model, self.settings(model), self.pretraining, seed, sigma=sigma,
                         limits=self.pretraining_limits)  # fmt: skip

    def finetune(
        self,
        model: str,
        data: str,
        pretrained: bool,
        learning_rate: float,
        seed: int,
        longer: int = 1,
        split_order: str = "random",
    ) -> RunConfig:
        """Energy of the data set ``data``, from pre-trained layers or from scratch; ``longer`` times the epochs.

        Raises:
            ValueError: unknown model or data set.
        """
        dataset, kind = find(f"{self.suite}/{data}"), data.split("/")[0]
        training = self.finetuning[kind]
        training = replace(
            training,
            learning_rate=learning_rate,
            epochs=longer * training.epochs,
            validate_every=longer * training.validate_every,
        )
        source = self.pretrain(model, seed) if pretrained else None
        limits = self.finetuning_limits.get(kind, Limits())
        return RunConfig("energy", (dataset,), model, self.settings(model), training, seed, baseline=self.baseline,
                         limits=limits, pretrained=source, split_order=split_order)  # fmt: skip


SCALES: dict[str, Scale] = {
    "smoke": Scale(
        suite="mini",
        widths={
            "schnet": {"hidden_channels": 16, "num_filters": 16, "num_interactions": 3},
            "se3_transformer": {"n_layers": 2, "degrees": 2, "radial_channels": 16, "out_channels": 16},
            "egnn": {"hidden_channels": 16, "n_layers": 3},
            "torchmd_net": {"hidden_channels": 16, "num_layers": 2, "num_rbf": 16, "num_heads": 4},
        },
        pretraining=TrainingSettings(epochs=6, batch_size=32, learning_rate=5e-3),
        finetuning=dict.fromkeys(SMALL, TrainingSettings(epochs=10, batch_size=32, validate_every=5))
        | {"md22": TrainingSettings(epochs=2, batch_size=16)},
        baseline="composition",
        learning_rates=(3e-3,),
        seeds=(0, 1),
        systems=("Ac-Ala3-NHMe",),
        pretraining_limits=Limits(1500, 200),
        finetuning_limits=dict.fromkeys((*SMALL, "md22"), Limits(300, 100, 200)),
        seconds={"egnn": (4e-4, 4e-4)},
    ),
    "laptop": Scale(
        suite="mini",
        widths={
            "schnet": {"hidden_channels": 64, "num_filters": 64, "num_interactions": 4},
            "se3_transformer": {"n_layers": 2, "degrees": 3},
            "egnn": {"hidden_channels": 64, "n_layers": 4},
            "torchmd_net": {"hidden_channels": 64, "num_layers": 4, "num_heads": 4},
        },
        pretraining=TrainingSettings(epochs=4, batch_size=64, learning_rate=5e-3),
        finetuning=dict.fromkeys(SMALL, TrainingSettings(epochs=32, batch_size=32, validate_every=4))
        | {"md22": TrainingSettings(epochs=12, batch_size=8, validate_every=2)},
        baseline="composition",
        learning_rates=(1e-3, 3e-3, 1e-2),
        seeds=(0, 1, 2),
        finetuning_limits=dict.fromkeys(SMALL, Limits(train=1000)),
        seconds={"egnn": (1.2e-3, 1.6e-3)},
    ),
    "paper": Scale(
        suite="official",
        widths={},
        pretraining=TrainingSettings(epochs=5, warmup=0.7, plateau=0.3),
        finetuning=dict.fromkeys(PRE_TRAINING_DATA, TrainingSettings(epochs=10))
        | dict.fromkeys(("iso17", "spice", "md22"), TrainingSettings(epochs=50)),
        baseline="mean",
        learning_rates=(2e-4,),
        seeds=(0,),
    ),
}


def get_scale(name: str) -> Scale:
    """The scale called ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    return look_up(SCALES, name, "scale")
