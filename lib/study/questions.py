"""The trials of each scale beyond the paper's matrix, in the order in which they are best run."""

from collections.abc import Callable, Mapping

from lib.errors import look_up
from lib.study.amount import ALL, WITH_SPICE, amount_trial, amount_trials
from lib.study.audit import audit_trial, audit_trials
from lib.study.equilibrium import equilibrium_trial, equilibrium_trials
from lib.study.head import head_trial, head_trials
from lib.study.label_counts import count_trials
from lib.study.labels import labels_trial, labels_trials
from lib.study.large_systems import system_trials
from lib.study.library import library_trials
from lib.study.published import published_trials
from lib.study.read_out import read_out_trial, read_out_trials
from lib.study.scales import get_scale
from lib.study.trials import Trial


def _smoke() -> list[Trial]:
    """A trial of each kind, of one seed."""
    scale = get_scale("smoke")
    return [
        head_trial(scale, "schnet", "ani1x", normalised=(False,), seeds=scale.seeds[:1]),
        equilibrium_trial(scale, "egnn", "ani1x", scale.seeds[:1]),
        read_out_trial(scale, "schnet", "ani1x", scale.seeds[:1]),
        amount_trial(scale, "egnn", "spice", [ALL, WITH_SPICE], scale.seeds[:1]),
        labels_trial("egnn", 1.0, scale, scale, "ani1", scale.rates_of("ani1"), scale.seeds[:1], "100 labels"),
        audit_trial(scale, "tanh", "egnn", scale.seeds[:1]),
        audit_trial(scale, "SPICE order", "egnn", scale.seeds[:1]),
    ]


def _laptop() -> list[Trial]:
    """The trials beyond Table 2; the SE(3)-Transformer's, which takes longest, is last."""
    scale = get_scale("laptop")
    *head, last = head_trials(scale)
    head.append(head_trial(get_scale("published"), "schnet", "ani1x"))
    asked = [equilibrium_trials, read_out_trials, amount_trials, lambda _: labels_trials()]
    asked += [lambda at: list(audit_trials(at).values()), lambda _: count_trials()]
    asked += [lambda _: library_trials(), system_trials]
    return [*head, *(trial for trials in asked for trial in trials(scale)), last]


TRIALS: Mapping[str, Callable[[], list[Trial]]] = {"smoke": _smoke, "laptop": _laptop, "published": published_trials}


def trials_of(scale: str, kind: str = "") -> list[Trial]:
    """The trials of the scale called ``scale`` whose names begin with ``kind``.

    Raises:
        ValueError: it has none; the message lists the scales that have.
    """
    return [trial for trial in look_up(TRIALS, scale, "scale with trials")() if trial.name.startswith(kind)]
