"""The parameters of the notebooks, checked before anything is read or trained.

`NOTEBOOKS` says of each parameter of each notebook what it may be; nonsense (no model, a seed given twice, a step of
-1 fs) is one line that names what was given and what is expected.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ase import Atoms

from lib.data.datasets import MD22_SYSTEMS, find
from lib.data.readers.frame_values import ENERGY_UNITS
from lib.errors import look_up
from lib.models import MODELS
from lib.paths import DATA
from lib.potentials.dynamics import beyond
from lib.runs.config import SIGMAS, check_share
from lib.study.arms import MISSING
from lib.study.layers import weights_names
from lib.study.scales import SCALES
from lib.training.execution import Execution
from lib.training.settings import LARGEST_RATE, TrainingSettings

Rule = Callable[[Any], str | None]  # what is expected in place of a value; None where the value will do


def check(notebook: str, values: Mapping[str, Any]) -> None:
    """Check all parameters of a notebook.

    Args:
        notebook: its name, without ``.ipynb``.
        values: by name; others than the notebook's parameters are passed over, so that ``globals()`` will do.

    Raises:
        ValueError: the first parameter that makes no sense, with its value and what is expected.
    """
    for name, rule in look_up(NOTEBOOKS, notebook, "notebook").items():
        if expected := rule(values[name]):
            raise ValueError(f"{name} = {values[name]!r:.300}: {' '.join(expected.split())}")


def turned_atoms(atoms: Atoms, dihedral: Sequence[int] | None) -> list[int]:
    """The atoms that turn about the middle bond of ``dihedral``, four of ``atoms``; none where it is None.

    Raises:
        ValueError: an atom that is not there, or a middle bond that is none or in a ring.
    """
    if dihedral is None:
        return []
    if max(dihedral) >= len(atoms):
        raise ValueError(f"dihedral = {list(dihedral)}: the molecule has atoms 0 to {len(atoms) - 1}")
    return beyond(atoms, dihedral[1], dihedral[2])


def one_of(names: Collection[str]) -> Rule:
    """One of ``names``."""
    return lambda value: None if value in list(names) else f"choose from {sorted(names)}"


def refused_by(function: Callable[[Any], object]) -> Rule:
    """What ``function`` accepts, with the message of its ValueError."""

    def rule(value: Any) -> str | None:
        """The function's complaint about ``value``, if any."""
        try:
            function(value)
        except ValueError as error:
            return str(error)
        except TypeError:
            return "it is of another kind than expected"
        return None

    return rule


def whole(least: int, most: int = 10**9) -> Rule:
    """A whole number."""
    expected = f"give a whole number from {least} " + (f"to {most}" if most < 10**9 else "on")
    return lambda value: None if _is(Integral, value) and least <= value <= most else expected


def number(least: float, most: float, unit: str = "") -> Rule:
    """A number from ``least`` to ``most``; neither NaN nor infinite."""
    expected = f"give a number from {least:g} to {most:g}{unit and f' {unit}'}"
    return lambda value: None if _is(Real, value) and least <= value <= most else expected


def or_none(rule: Rule) -> Rule:
    """None, or what ``rule`` accepts."""
    return lambda value: None if value is None else rule(value)


def several(rule: Rule, least: int = 1) -> Rule:
    """A list of at least so many values, each once, each accepted by ``rule``."""

    def of_list(values: Any) -> str | None:
        """The first complaint about a value, about one that repeats, or about their number."""
        if isinstance(values, str) or not isinstance(values, Sequence):
            return f"give a list, such as [{values!r:.100}]"
        for place, value in enumerate(values):
            if expected := rule(value):
                return f"{value!r:.100}: {expected}"
            if value in values[:place]:
                return f"{value!r} is given twice and would be counted twice; give each once"
        return None if len(values) >= least else f"name at least {'one' if least == 1 else least}"

    return of_list


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _sigmas(values: Any) -> str | None:
    size = number(*SIGMAS, "Å, or 0 for none")
    problem = several(lambda value: None if _is(Real, value) and value == 0 else size(value))(values)
    return problem or (None if any(values) else "name at least one above 0 Å; 0 is without pre-training")


def _dihedral(atoms: Any) -> str | None:
    of_atoms = several(whole(0))(atoms)
    return of_atoms or (None if len(atoms) == 4 else "give the numbers of four atoms, counted from 0, in a row")


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "give a name"


def _file(value: Any) -> str | None:
    exists = isinstance(value, (str, Path)) and str(value).strip() and Path(value).exists()
    return None if exists else "it is not there; check the path"


def _execution(device: Any) -> Execution:
    return Execution(accelerator=device)


DATASET: Rule = refused_by(lambda name: find(f"mini/{name}"))  # both suites have the same names
RATE, SHARE = number(TrainingSettings.min_learning_rate, LARGEST_RATE), refused_by(check_share)
MODEL, MODELS_OR_NONE = one_of(MODELS), or_none(several(one_of(MODELS)))
SYSTEMS = or_none(several(one_of(MD22_SYSTEMS)))
SEED, SEEDS = whole(0), or_none(several(whole(0)))
COUNT = whole(1)
RUN: dict[str, Rule] = {"scale": one_of(SCALES), "workers": or_none(whole(1)), "device": refused_by(_execution)}
PLACE: dict[str, Rule] = {"scale": RUN["scale"], "workers": RUN["workers"]}
PAIRS: dict[str, Rule] = {**RUN, "models": MODELS_OR_NONE, "seeds": SEEDS}
NOTEBOOKS: dict[str, dict[str, Rule]] = {
    "00_data": {**PLACE, "model": MODEL, "systems": SYSTEMS, "learning_rate": RATE, "sampled": COUNT, "seed": SEED},
    "01_pretraining": {
        **PAIRS, "sigma": number(*SIGMAS, "Å"), "steps": COUNT, "drawn": MODEL, "n_atoms": COUNT, "probed": COUNT,
    },
    "02_ani1_and_ani1x": {
        **PAIRS, "data": several(DATASET), "control": several(DATASET, 0), "labels": whole(1, 1700), "steps": COUNT,
        "detailed": MODEL,
    },
    "03_iso17": {**PAIRS, "steps": COUNT},
    "04_spice": {**PAIRS, "detailed": MODEL},
    "05_md22": {**PAIRS, "systems": SYSTEMS, "missing": one_of(MISSING)},
    "06_data_efficiency": {
        **RUN, "model": MODEL, "data": several(DATASET), "shares": several(SHARE, 2), "seeds": SEEDS,
        "missing": one_of(MISSING), "steps": COUNT,
    },
    "07_choice_of_sigma": {**RUN, "model": MODEL, "data": DATASET, "sigmas": _sigmas, "steps": COUNT, "seeds": SEEDS},
    "08_settings_and_cost": {
        "scale": RUN["scale"], "models": MODELS_OR_NONE, "sizes": several(whole(1, 10_000)),
        "seconds": number(1e-3, 3600, "s"), "gpu": one_of([path.stem for path in (DATA / "bench").glob("*.json")]),
    },
    "09_what_was_reproduced": {"scale": RUN["scale"]},
    "10_forces": {
        **PAIRS, "data": DATASET, "force_weights": several(number(0, 1e6)),
        "picoseconds": or_none(number(1e-3, 1e6, "ps")),
        "temperature": number(1, 1e5, "K"), "step": number(1e-3, 10, "fs"), "steps": COUNT,
    },
    "11_your_own_molecules": {
        **PLACE, "data": or_none(_file), "energy_unit": one_of(ENERGY_UNITS), "energy_key": _text, "forces_key": _text,
        "level": _text, "weights": or_none(one_of(weights_names())), "labels": or_none(several(COUNT)), "seeds": SEEDS,
        "learning_rates": or_none(several(RATE)), "dihedral": or_none(_dihedral),
    },
    "12_what_the_papers_numbers_hang_on": {
        **RUN, "model": MODEL, "molecules": COUNT, "conformations": whole(3), "missing": or_none(one_of(MISSING)),
    },
    "13_what_should_be_pretrained": {
        **RUN, "stiff": number(1e-3, 10, "Å"), "soft": number(1e-3, 10, "Å"), "sigma": number(*SIGMAS, "Å"),
        "steps": COUNT, "missing": or_none(one_of(MISSING)),
    },
    "14_can_it_be_trusted": {
        **PLACE, "copies": whole(2, 20), "apart": number(20, 1e4, "Å"), "shown": or_none(MODEL), "bond": _text,
        "held_out": whole(20, 1000), "warn_at": number(0.1, 1e6), "stop_at": number(0.1, 1e6),
    },
}  # fmt: skip
