"""The registry of tasks.

A new task is a subclass of `task.Task`, a line in `TASKS`, and a job in `lib.runs.jobs.JOBS`.
"""

from dataclasses import dataclass

from lib.errors import look_up
from lib.training.denoising import DenoisingTask
from lib.training.energy import EnergyTask
from lib.training.metrics import METRICS
from lib.training.task import Task


@dataclass(frozen=True)
class TaskEntry:
    """One line of `TASKS`.

    Attributes:
        module: the Lightning module.
        labelled: whether it learns energies of one data set, so that its runs have test data. The others denoise, take
            several data sets together, and are what a labelled run may start from.
        metrics: the keys of `metrics.METRICS` that its runs report.
    """

    module: type[Task]
    labelled: bool
    metrics: tuple[str, ...]

    def missing(self) -> list[str]:
        """What the registration lacks; nothing where it is whole."""
        lacks = [f"a {name}" for name in ("title", "monitor", "summed") if not hasattr(self.module, name)]
        lacks += [f"a line {key!r} in lib.training.metrics.METRICS" for key in self.metrics if key not in METRICS]
        monitor = getattr(self.module, "monitor", "").removeprefix("validation_")
        if monitor and monitor not in self.metrics:
            lacks.append(f"its monitor {monitor!r} among its metrics")
        return lacks


ENERGY_METRICS = ("rmse", "mae", "r2", "force_rmse", "force_mae", "force_r2", "loss")
TASKS: dict[str, TaskEntry] = {
    "denoising": TaskEntry(DenoisingTask, labelled=False, metrics=("denoising_error", "rigid_part")),
    "energy": TaskEntry(EnergyTask, labelled=True, metrics=ENERGY_METRICS),
}


def task_entry(name: str) -> TaskEntry:
    """The line of `TASKS` called ``name``.

    Raises:
        ValueError: there is none, and the message lists the names; or it is half registered, and the message says what
            it lacks.
    """
    entry = look_up(TASKS, name, "task")
    if lacks := entry.missing():
        raise ValueError(f"task {name!r} is half registered: give it {', '.join(lacks)}")
    return entry
