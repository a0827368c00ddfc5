"""Pre-training: predict the noise that was added to the coordinates (section 2.3 of the paper, equation 7)."""

from collections.abc import Sequence

from torch import Tensor

from lib.batches import Batch
from lib.errors import required
from lib.models.base import Model
from lib.training.settings import TrainingSettings
from lib.training.task import Task
from lib.training.tasks import TASKS

DIVERGED = 10.0  # last denoising error in σ²; predicting no noise at all gives 1
COLLAPSED = 1.5  # last denoising error over the lowest one


class DenoisingTask(Task):
    """Equation 7: the squared error of the predicted noise, summed over a conformation, mean over conformations."""

    title = "denoising"
    monitor = TASKS["denoising"].monitor
    summed = ("squared", "coordinates")

    def __init__(self, model: Model, settings: TrainingSettings, sigma: float) -> None:
        """``sigma`` (Å) is the standard deviation of the noise in the batches."""
        super().__init__(model, settings)
        self.sigma = sigma

    def _squared(self, batch: Batch) -> Tensor:
        return (self.model(batch, energy=False).noise - required(batch.noise, "noise")).square().sum()

    def loss(self, batch: Batch) -> Tensor:
        """Å² per conformation."""
        return self._squared(batch) / batch.n_molecules

    def errors(self, batch: Batch) -> dict[str, float]:
        """Squared error (Å²) and number of coordinates."""
        return {"squared": float(self._squared(batch).double()), "coordinates": 3.0 * len(batch.z)}

    def metrics(self, sums: dict[str, float]) -> dict[str, float]:
        """``denoising_error``: mean squared error per coordinate over σ²; 1 for predicting no noise at all."""
        return {"denoising_error": sums["squared"] / sums["coordinates"] / self.sigma**2}


def diverged(by_epoch: Sequence[float]) -> bool:
    """Whether a pre-training diverged: its last denoising error (σ²) is above `DIVERGED`, above `COLLAPSED` times its
    minimum, or not a number.
    """
    return not by_epoch[-1] < min(DIVERGED, COLLAPSED * min(by_epoch))
