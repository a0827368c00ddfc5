"""Settings of training, typed and frozen. Defaults are the paper's (section 3.2 and the released configuration)."""

from dataclasses import dataclass, replace
from math import cos, isfinite, pi

LARGEST_RATE = 100.0  # of AdamW; above it, and far below it, nothing is learnt


@dataclass(frozen=True)
class TrainingSettings:
    """Optimiser, schedule and batches of one fit.

    Attributes:
        epochs: passes over the training conformations.
        batch_size: conformations per step.
        learning_rate: the highest one.
        min_learning_rate: the one at the end.
        warmup: epochs in which the rate rises linearly.
        plateau: epochs at the highest rate after that; then the rate falls by half a cosine.
        clip: largest norm of the gradient; with 0 gradients are not clipped.
        normalise: whether the energy head's inputs are normalised in training (`input_norm`); not in the paper.
        force_weight: of the forces' squared error in the loss (`energy.EnergyTask`), beside 1 of energies. With 0,
            forces are measured on validation and test data but not learnt; with None they are not evaluated, as in the
            paper.
        validate_every: epochs from one validation to the next; divides ``epochs``, so that the last one validates.
        patience: validations without a new best metric after which training stops; with 0 it never stops early.
        noise_weight: of the noise's error in the loss of an energy (`auxiliary`); with 0 nothing is noised.
        average: decay of the exponential moving average of the weights by step, which then validates and is kept; with
            0 there is none.
    """

    epochs: int
    batch_size: int = 256
    learning_rate: float = 2e-4
    min_learning_rate: float = 1e-7
    warmup: float = 0.3
    plateau: float = 0.7
    clip: float = 0.0
    normalise: bool = False
    force_weight: float | None = None
    validate_every: int = 1
    patience: int = 0
    average: float = 0.0
    noise_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values with which nothing can be trained."""
        for name in ("epochs", "batch_size", "learning_rate", "validate_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)!r} must be positive")
        check_learning_rate(self.learning_rate, min(TrainingSettings.min_learning_rate, self.min_learning_rate))
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate = {self.min_learning_rate!r} must not be above learning_rate = "
                f"{self.learning_rate!r}"
            )
        if self.epochs % self.validate_every:
            raise ValueError(f"validate_every = {self.validate_every} must divide epochs = {self.epochs}")
        for name in ("min_learning_rate", "warmup", "plateau", "clip", "force_weight", "patience", "noise_weight"):
            value = getattr(self, name) or 0.0
            if not (value >= 0 and isfinite(value)):
                raise ValueError(f"{name} = {getattr(self, name)!r} must be a finite number that is not negative")
        if not 0 <= self.average < 1:
            raise ValueError(f"average = {self.average!r}, a decay by step, must be at least 0 and below 1")
        if self.normalise and self.learns_forces:
            raise ValueError(
                f"normalise = True with force_weight = {self.force_weight!r}: one molecule's forces would "
                "depend on the others in its batch; set one of the two"
            )

    @property
    def learns_forces(self) -> bool:
        """Whether forces are in the loss."""
        return bool(self.force_weight)

    def lasting(self, epochs: int, validate_every: int) -> "TrainingSettings":
        """The same schedule over so many ``epochs``, with warm-up and plateau in proportion."""
        times = epochs / self.epochs
        warmup, plateau = times * self.warmup, times * self.plateau
        return replace(self, epochs=epochs, warmup=warmup, plateau=plateau, validate_every=validate_every)

    def stretched(self, times: int) -> "TrainingSettings":
        """The same schedule over ``times`` as many epochs; with as many times fewer data, the number of steps stays."""
        return self.lasting(times * self.epochs, times * self.validate_every)

    def rate(self, epoch: float) -> float:
        """The learning rate at time ``epoch``, as a fraction of the highest: warm-up, plateau, half a cosine."""
        if epoch < self.warmup:
            return epoch / self.warmup
        done = (epoch - self.warmup - self.plateau) / max(self.epochs - self.warmup - self.plateau, 1e-9)
        floor = self.min_learning_rate / self.learning_rate
        return floor + (1 - floor) * 0.5 * (1 + cos(pi * min(max(done, 0.0), 1.0)))


def check_learning_rate(rate: float, least: float = TrainingSettings.min_learning_rate) -> None:
    """Refuse a highest learning rate with which nothing can be learnt.

    Raises:
        ValueError: it is above `LARGEST_RATE`, or below ``least``, where a schedule may end.
    """
    if not least <= rate <= LARGEST_RATE:
        raise ValueError(f"learning_rate = {rate!r}: give a number from {least:g} to {LARGEST_RATE:g}, such as 0.001")
