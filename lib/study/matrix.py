"""The matrix: the pairs of cells of each table and figure of the paper, defined once for notebooks, batch and plan."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from lib.data.datasets import MD22_SYSTEMS, find
from lib.errors import look_up
from lib.models import entry
from lib.runs.config import check_share
from lib.study.cells import Cell, Pair
from lib.study.scale import FORCE_WEIGHT, PRE_TRAINING_DATA, Scale

CONTROL = 3  # times the steps in both arms, the control for faster optimisation
MATCHED = 8  # times the steps from scratch, the control for the compute of pre-training
CONTROL_DATA = ("ani1x",)  # where the control runs
EFFICIENCY_MODEL, EFFICIENCY_DATA = "egnn", ("ani1x", "md22/AT-AT", "md22/Ac-Ala3-NHMe", "md22/buckyball-catcher")
SHARES = (0.05, 0.2, 0.5, 1.0)  # section 3.5
SIGMA_MODEL, SIGMA_DATA = "torchmd_net", "ani1x"
FORCE_DATA, FORCE_WEIGHTS = "iso17", (0.0, FORCE_WEIGHT)
SIGMAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # Å, section 3.6; 0 is without pre-training


def pairs(
    models: Sequence[str], data: Sequence[str], longer: int = 1, share: float = 1.0, force_weight: float | None = None
) -> list[Pair[Cell]]:
    """Every model on every data set, from scratch and pre-trained.

    Raises:
        ValueError: no models or data, or unknown ones; the message lists the names.
    """
    if not models or not data:
        raise ValueError(f"models = {list(models)}, data = {list(data)}: name at least one of each")
    for model in models:
        entry(model)
    for name in data:
        find(f"mini/{name}")  # both suites have the same names
    return [
        Pair(*(Cell(m, d, pretrained, longer, share, force_weight=force_weight) for pretrained in (False, True)))
        for m in models
        for d in data
    ]


def controls(scale: Scale, models: Sequence[str], data: Sequence[str]) -> list[Pair[Cell]]:
    """`pairs` with `CONTROL` times the steps, and with `MATCHED` times in the arm from scratch alone.

    Of those ``models`` that ``scale`` compares so (`Exceptions.control_models`).
    """
    compared = [model for model in models if model in scale.exceptions.control_models]
    if not compared or not data:
        return []
    matched = [replace(pair, scratch=replace(pair.scratch, longer=MATCHED)) for pair in pairs(compared, data)]
    return pairs(compared, data, CONTROL) + matched


def longer_on_md22(scale: Scale, models: Sequence[str], systems: Sequence[str]) -> list[Pair[Cell]]:
    """`pairs` with `CONTROL` times the steps, of those ``models`` and ``systems`` that ``scale`` trains for longer."""
    out = []
    for model in models:
        longer = [system for system in systems if system in scale.exceptions.longer_systems.get(model, ())]
        out += pairs([model], systems_of_md22(longer), CONTROL) if longer else []
    return out


def systems_of_md22(systems: Sequence[str]) -> list[str]:
    """Names of data sets from names of systems.

    Raises:
        ValueError: unknown system; the message lists the names.
    """
    for system in systems:
        look_up(MD22_SYSTEMS, system, "system of MD22")
    return [f"md22/{system}" for system in systems]


def shares(scale: Scale, model: str, data: Sequence[str], values: Sequence[float]) -> list[Pair[Cell]]:
    """Pairs by data set and share of the training conformations, without shares below `Exceptions.smallest_shares`.

    Raises:
        ValueError: a share that is not above 0 and at most 1.
    """
    for value in values:
        check_share(value)
    return [
        pair
        for name in data
        for value in values
        if value >= scale.exceptions.smallest_shares.get(name, 0)
        for pair in pairs([model], [name], share=value)
    ]


def with_forces(models: Sequence[str], data: str, force_weights: Sequence[float]) -> list[Pair[Cell]]:
    """Pairs by weight of the forces in the loss; with 0 they are measured only.

    Raises:
        ValueError: no weights, or a negative one.
    """
    if not force_weights or min(force_weights) < 0:
        raise ValueError(f"force_weights = {list(force_weights)}: name at least one, none negative")
    return [pair for weight in force_weights for pair in pairs(models, [data], force_weight=weight)]


def noise_levels(model: str, data: str, sigmas: Sequence[float]) -> list[Pair[Cell]]:
    """One pair for each σ (Å) above 0; all have the same cell from scratch, which is σ = 0.

    Raises:
        ValueError: a negative σ, or no σ but 0.
    """
    entry(model)
    find(f"mini/{data}")
    for sigma in sigmas:
        if not sigma >= 0:
            raise ValueError(f"sigma = {sigma!r} Å must not be negative; 0 is without pre-training")
    noisy = sorted({s for s in sigmas if s > 0})
    if not noisy:
        raise ValueError(f"sigmas = {list(sigmas)}: name at least one above 0 Å")
    return [Pair(Cell(model, data, False), Cell(model, data, True, sigma=s)) for s in noisy]


MATRIX: dict[str, Callable[[Scale], list[Pair[Cell]]]] = {
    "Table 2": lambda scale: pairs(scale.models, PRE_TRAINING_DATA),
    "control": lambda scale: controls(scale, scale.models, CONTROL_DATA),
    "Figure 2, ISO17": lambda scale: pairs(scale.models, ["iso17"]),
    "Figure 2, SPICE": lambda scale: pairs(scale.models, ["spice"]),
    "Figure 3": lambda scale: pairs(scale.models, systems_of_md22(scale.systems)),
    "Figure 3, longer": lambda scale: longer_on_md22(scale, scale.models, scale.systems),
    "Figure 4": lambda scale: shares(scale, EFFICIENCY_MODEL, EFFICIENCY_DATA, SHARES),
    "Figure 5": lambda _: noise_levels(SIGMA_MODEL, SIGMA_DATA, SIGMAS),
    "forces": lambda scale: with_forces(scale.exceptions.force_models, FORCE_DATA, FORCE_WEIGHTS),
}  # each item's pairs at its notebook's defaults


def all_pairs(scale: Scale) -> list[Pair[Cell]]:
    """The pairs of all items, each once."""
    return list(dict.fromkeys(pair for pairs_of in MATRIX.values() for pair in pairs_of(scale)))
