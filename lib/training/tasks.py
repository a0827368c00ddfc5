"""The registry of tasks: what is known of a run before it is trained. Importing this imports no Lightning.

A new task is a line in `TASKS`, a subclass of `task.Task`, and a job that trains it in `lib.runs.jobs.JOBS`.
"""

from dataclasses import dataclass

from lib.errors import look_up
from lib.training.metrics import METRICS


@dataclass(frozen=True)
class TaskEntry:
    """One line of `TASKS`.

    Attributes:
        labelled: whether it learns energies of one data set, so that its runs have test data. The others denoise, take
            several data sets together, and are what a labelled run may start from.
        monitor: the validation metric whose lowest value is best.
        metrics: the keys of `metrics.METRICS` that its runs report.
    """

    labelled: bool
    monitor: str
    metrics: tuple[str, ...]

    def missing(self) -> list[str]:
        """What the registration lacks; nothing where it is whole."""
        lacks = [f"a line {key!r} in lib.training.metrics.METRICS" for key in self.metrics if key not in METRICS]
        if (monitor := self.monitor.removeprefix("validation_")) not in self.metrics:
            lacks.append(f"its monitor {monitor!r} among its metrics")
        return lacks


ENERGY_METRICS = ("rmse", "mae", "r2", "force_rmse", "force_mae", "force_r2", "loss")
TASKS: dict[str, TaskEntry] = {
    "denoising": TaskEntry(
        labelled=False, monitor="validation_denoising_error", metrics=("denoising_error", "rigid_part")
    ),
    "energy": TaskEntry(labelled=True, monitor="validation_rmse", metrics=ENERGY_METRICS),
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
