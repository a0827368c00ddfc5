"""Groups of options of the commands for a user's own molecules (`lib.cli.groups`)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.options import LengthUnit, PretrainingRate, Weights
from lib.cli.own_options import (
    FIRST_SEED,
    Average,
    BatchSize,
    Continue,
    EnergyKey,
    EnergyUnit,
    Epochs,
    ForcesKey,
    ForcesLengthUnit,
    ForceWeight,
    FromScratch,
    IgnoreCell,
    IsolatedAtoms,
    IsolatedEnergies,
    Labels,
    LearningRates,
    Level,
    Minutes,
    Patience,
    PretrainLengthUnit,
    PretrainOn,
    Seeds,
    Steps,
    Test,
    Validation,
)

if TYPE_CHECKING:
    from lib.data.datasets import DataSet

WEIGHTS = "torchmd_net-laptop-dynamics"


@dataclass(frozen=True)
class Reading:
    """How labelled files are read."""

    energy_unit: EnergyUnit = None
    energy_key: EnergyKey = "energy"
    forces_key: ForcesKey = "forces"
    length_unit: LengthUnit = "angstrom"
    forces_length_unit: ForcesLengthUnit = None
    level: Level = "own"
    ignore_cell: IgnoreCell = False

    def dataset(self, path: Path) -> "DataSet":
        """The labelled conformations in ``path``."""
        from lib.own.datasets import own_dataset

        return own_dataset(path, self.energy_unit, self.energy_key, self.forces_key, self.length_unit,
                           self.forces_length_unit, self.level, self.ignore_cell)  # fmt: skip


@dataclass(frozen=True)
class HeldOut:
    """Files of their own to choose by and to test on."""

    validation: Validation = None
    test: Test = None


@dataclass(frozen=True)
class Beginning:
    """What training starts from."""

    weights: Weights = WEIGHTS
    from_scratch: FromScratch = False
    pretrain_on: PretrainOn = None
    pretrain_length_unit: PretrainLengthUnit = None
    pretraining_rate: PretrainingRate = None
    continued: Continue = None


@dataclass(frozen=True)
class Training:
    """How it is trained, and how long."""

    labels: Labels = None
    learning_rates: LearningRates = None
    force_weight: ForceWeight = None
    e0: IsolatedEnergies = None
    isolated_atoms: IsolatedAtoms = None
    batch_size: BatchSize = None
    steps: Steps = None
    epochs: Epochs = None
    minutes: Minutes = None
    patience: Patience = 0
    average: Average = 0.0
    seeds: Seeds = field(default_factory=lambda: list(FIRST_SEED))
