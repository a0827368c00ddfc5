"""With and without pre-training: the same schedule, steps, seeds and splits; each arm with its own learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.data.splits import ORDERS
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import is_there, run_all
from lib.study.matrix import Cell
from lib.study.rates import choose_rate, scan
from lib.study.scale import Scale

TRAIN, LEAVE_OUT = MISSING = ("train", "leave out")


@dataclass(frozen=True)
class Arm:
    """One cell with its results by seed.

    ``at_edge`` says that the chosen learning rate is the smallest or largest of several candidates: a better one may
    lie outside.
    """

    cell: Cell
    learning_rate: float
    at_edge: bool
    results: tuple[Result, ...]


def compare_arms(
    scale: Scale,
    cells: Sequence[Cell],
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> list[Arm]:
    """Run or load ``cells``, an arm each; ``seeds`` None takes the scale's own."""
    run_all(pretrainings(scale, cells, seeds), workers, "pre-training", device)
    run_all(scan(scale, cells), workers, "learning rates", device)
    configs = {cell: chosen(scale, cell, seeds) for cell in dict.fromkeys(cells)}
    results = iter(run_all([c for group in configs.values() for c in group], workers, "energies", device))
    arms = {}
    for cell, group in configs.items():
        rate = group[0].training.learning_rate
        candidates = scale.rates_of(cell.data)
        at_edge = len(candidates) > 1 and rate in (min(candidates), max(candidates))
        arms[cell] = Arm(cell, rate, at_edge, tuple(next(results) for _ in group))
    return [arms[cell] for cell in cells]


def seeds_of(scale: Scale, cell: Cell, seeds: Sequence[int] | None) -> Sequence[int]:
    """``seeds``, or the scale's own for ``cell``."""
    return scale.seeds_of(cell.model, cell.data, cell.longer) if seeds is None else seeds


def pretrainings(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None = None) -> list[RunConfig]:
    """The pre-training runs that ``cells`` start from, each once."""
    wanted = {(c.model, seed, c.sigma) for c in cells if c.pretrained for seed in seeds_of(scale, c, seeds)}
    return [scale.pretrain(*each) for each in sorted(wanted)]


def chosen(scale: Scale, cell: Cell, seeds: Sequence[int] | None = None) -> list[RunConfig]:
    """The runs of ``cell``, one a seed, at its chosen learning rate."""
    rate = choose_rate(scale, cell)
    return [
        scale.finetune(
            cell.model,
            cell.data,
            cell.pretrained,
            rate,
            seed,
            cell.longer,
            cell.share,
            cell.sigma,
            force_weight=cell.force_weight,
        )
        for seed in seeds_of(scale, cell, seeds)
    ]


def there(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None = None) -> list[Cell]:
    """Those of ``cells``, pairs of arms, whose runs are all recorded or stored, the scan of rates too."""
    out = []
    for pair in zip(cells[::2], cells[1::2], strict=True):
        runs = [*pretrainings(scale, pair, seeds), *scan(scale, pair)]
        runs += [config for cell in pair for config in chosen(scale, cell, seeds)]
        if all(is_there(config, weights=False) for config in runs):
            out += pair
    return out


def arms_there(scale: Scale, cells: Sequence[Cell]) -> list[Arm]:
    """Those of ``cells``, pairs of arms, of which a seed has all its runs recorded or stored, with all such seeds."""
    arms = []
    for pair in zip(cells[::2], cells[1::2], strict=True):
        found = [seed for seed in seeds_of(scale, pair[0], None) if there(scale, pair, [seed])]
        arms += compare_arms(scale, pair, found) if found else []
    return arms


def wanted(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None, missing: str) -> list[Cell]:
    """``cells``, pairs of arms, all of them or those whose runs are recorded or stored.

    Args:
        scale: theirs.
        cells: from scratch and pre-trained, in turns.
        seeds: None takes the scale's own.
        missing: one of `MISSING`: what is to be done about cells that lack a run.

    Raises:
        ValueError: ``missing`` is another word, or no pair has all its runs.
    """
    if missing not in MISSING:
        raise ValueError(f"missing = {missing!r}: choose from {MISSING}")
    if missing == TRAIN:
        return list(cells)
    out = there(scale, cells, seeds)
    if not out:
        raise ValueError(f"none of {len(cells)} cells has all its runs recorded or stored: set missing = {TRAIN!r}")
    return out


def yardsticks(scale: Scale, model: str, systems: Sequence[str], learning_rate: float, seed: int) -> list[RunConfig]:
    """``model`` from scratch on each of MD22's ``systems``, on a random split and on one in the file's order."""
    return [
        scale.finetune(model, f"md22/{system}", False, learning_rate, seed, split_order=order)
        for system in systems
        for order in ORDERS
    ]
