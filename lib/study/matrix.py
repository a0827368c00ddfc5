"""The matrix: which cells each table and figure of the paper takes, defined once for notebooks, batch and plan.

A `Cell` is one arm: a model on a data set, pre-trained or not. Cells come in pairs, from scratch and
pre-trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lib.data.datasets import MD22_SYSTEMS, find
from lib.errors import look_up
from lib.models import entry
from lib.runs.config import check_share
from lib.study.scale import FORCE_WEIGHT, PRE_TRAINING_DATA, SIGMA, Scale

CONTROL = 3  # times the steps in both arms, the control for faster optimisation
MATCHED = 8  # times the steps from scratch, the control for the compute of pre-training
CONTROL_DATA = ("ani1x",)  # where the control runs
EFFICIENCY_MODEL, EFFICIENCY_DATA = "egnn", ("ani1x", "md22/AT-AT", "md22/Ac-Ala3-NHMe", "md22/buckyball-catcher")
SHARES = (0.05, 0.2, 0.5, 1.0)  # section 3.5
SIGMA_MODEL, SIGMA_DATA = "torchmd_net", "ani1x"
FORCE_DATA, FORCE_WEIGHTS = "iso17", (0.0, FORCE_WEIGHT)
SIGMAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # Å, section 3.6; 0 is without pre-training


@dataclass(frozen=True)
class Cell:
    """One arm of a comparison.

    Attributes:
        model: a name of `models.MODELS`.
        data: a data set of the suite, ``ani1x`` or ``md22/DHA``.
        pretrained: whether it starts from pre-trained layers.
        longer: times the steps.
        share: of the training conformations.
        sigma: Å, of the pre-training.
        force_weight: of the loss; None is without forces (`TrainingSettings`).
    """

    model: str
    data: str
    pretrained: bool
    longer: int = 1
    share: float = 1.0
    sigma: float = SIGMA
    force_weight: float | None = None


def pairs(models: Sequence[str], data: Sequence[str], longer: int = 1, share: float = 1.0) -> list[Cell]:
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
    return [Cell(m, d, pretrained, longer, share) for m in models for d in data for pretrained in (False, True)]


def controls(scale: Scale, models: Sequence[str], data: Sequence[str]) -> list[Cell]:
    """`pairs` with `CONTROL` times the steps, and with `MATCHED` times in the arm from scratch alone.

    Of the models that ``scale`` can afford it for.
    """
    own = [model for model in models if model in scale.control_models]
    if not own or not data:
        return []
    matched = [replace(cell, longer=1 if cell.pretrained else MATCHED) for cell in pairs(own, data)]
    return pairs(own, data, CONTROL) + matched


def longer_on_md22(scale: Scale, models: Sequence[str], systems: Sequence[str]) -> list[Cell]:
    """`pairs` with `CONTROL` times the steps, of those ``models`` and ``systems`` that ``scale`` asks it for."""
    cells = []
    for model in models:
        own = [system for system in systems if system in scale.longer_systems.get(model, ())]
        cells += pairs([model], systems_of_md22(own), CONTROL) if own else []
    return cells


def systems_of_md22(systems: Sequence[str]) -> list[str]:
    """Names of data sets from names of systems.

    Raises:
        ValueError: unknown system; the message lists the names.
    """
    for system in systems:
        look_up(MD22_SYSTEMS, system, "system of MD22")
    return [f"md22/{system}" for system in systems]


def shares(scale: Scale, model: str, data: Sequence[str], values: Sequence[float]) -> list[Cell]:
    """Pairs by data set and share of the training conformations, but those below ``scale.smallest_shares``.

    Raises:
        ValueError: a share that is not above 0 and up to 1.
    """
    for value in values:
        check_share(value)
    return [
        cell
        for name in data
        for value in values
        if value >= scale.smallest_shares.get(name, 0)
        for cell in pairs([model], [name], share=value)
    ]


def with_forces(models: Sequence[str], data: str, force_weights: Sequence[float]) -> list[Cell]:
    """Pairs by weight of the forces in the loss; with 0 they are measured only.

    Raises:
        ValueError: no weights, or a negative one.
    """
    if not force_weights or min(force_weights) < 0:
        raise ValueError(f"force_weights = {list(force_weights)}: name at least one, none negative")
    return [replace(cell, force_weight=weight) for weight in force_weights for cell in pairs(models, [data])]


def noise_levels(model: str, data: str, sigmas: Sequence[float]) -> list[Cell]:
    """One cell for each σ (Å), each paired with the first, σ = 0: from scratch.

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
    return [cell for s in noisy for cell in (Cell(model, data, False), Cell(model, data, True, sigma=s))]


MATRIX: dict[str, Callable[[Scale], list[Cell]]] = {
    "Table 2": lambda scale: pairs(scale.models, PRE_TRAINING_DATA),
    "control": lambda scale: controls(scale, scale.models, CONTROL_DATA),
    "Figure 2, ISO17": lambda scale: pairs(scale.models, ["iso17"]),
    "Figure 2, SPICE": lambda scale: pairs(scale.models, ["spice"]),
    "Figure 3": lambda scale: pairs(scale.models, systems_of_md22(scale.systems)),
    "Figure 3, longer": lambda scale: longer_on_md22(scale, scale.models, scale.systems),
    "Figure 4": lambda scale: shares(scale, EFFICIENCY_MODEL, EFFICIENCY_DATA, SHARES),
    "Figure 5": lambda _: noise_levels(SIGMA_MODEL, SIGMA_DATA, SIGMAS),
    "forces": lambda scale: with_forces(scale.force_models, FORCE_DATA, FORCE_WEIGHTS),
}  # each item's cells at its notebook's defaults


def all_cells(scale: Scale) -> list[Cell]:
    """The cells of all items, each once."""
    return list(dict.fromkeys(cell for cells_of in MATRIX.values() for cell in cells_of(scale)))
