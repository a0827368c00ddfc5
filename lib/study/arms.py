"""With and without pre-training: the same schedule, steps, seeds and splits; each arm with its own learning rate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib.data.splits import ORDERS
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import is_available, run_all
from lib.study.cells import Cell, Pair, members
from lib.study.rates import rate_of, scan
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
    pairs: Sequence[Pair[Cell]],
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> list[Pair[Arm]]:
    """Run or load both arms of each of ``pairs``; ``seeds`` None takes the scale's own."""
    arms = run_cells(scale, members(pairs), seeds, workers, device)
    return [Pair(arms[pair.scratch], arms[pair.pretrained]) for pair in pairs]


def run_cells(
    scale: Scale,
    cells: Sequence[Cell],
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> dict[Cell, Arm]:
    """Run or load ``cells``, each once: one arm per cell."""
    run_all(pretrainings(scale, cells, seeds), workers, "pre-training", device)
    run_all(scan(scale, cells), workers, "learning rates", device)
    configs = {cell: cell_runs(scale, cell, seeds) for cell in dict.fromkeys(cells)}
    results = iter(run_all([c for group in configs.values() for c in group], workers, "energies", device))
    arms = {}
    for cell, group in configs.items():
        rate = group[0].training.learning_rate
        candidates = scale.rates_of(cell.data)
        at_edge = len(candidates) > 1 and rate in (min(candidates), max(candidates))
        arms[cell] = Arm(cell, rate, at_edge, tuple(next(results) for _ in group))
    return arms


def results_of(pairs: Iterable[Pair[Arm]]) -> list[Result]:
    """All results of both arms of each pair."""
    return [result for arm in members(pairs) for result in arm.results]


def seeds_of(scale: Scale, cell: Cell, seeds: Sequence[int] | None) -> Sequence[int]:
    """``seeds``, or the scale's own for ``cell``."""
    return scale.seeds_of(cell.model, cell.data, cell.longer) if seeds is None else seeds


def pretrainings(scale: Scale, cells: Iterable[Cell], seeds: Sequence[int] | None = None) -> list[RunConfig]:
    """The pre-training runs that ``cells`` start from, each once."""
    runs = {(c.model, seed, c.sigma) for c in cells if c.pretrained for seed in seeds_of(scale, c, seeds)}
    return [scale.pretrain(*each) for each in sorted(runs)]


def cell_runs(scale: Scale, cell: Cell, seeds: Sequence[int] | None = None) -> list[RunConfig]:
    """The runs of ``cell``, one per seed, at the learning rate that was chosen for it."""
    rate = rate_of(scale, cell)
    return [scale.finetune(cell, rate, seed) for seed in seeds_of(scale, cell, seeds)]


def complete_pairs(scale: Scale, pairs: Sequence[Pair[Cell]], seeds: Sequence[int] | None = None) -> list[Pair[Cell]]:
    """Those of ``pairs`` whose runs are all recorded or stored, the scan of learning rates too."""
    return [pair for pair in pairs if _is_complete(scale, pair, seeds)]


def _is_complete(scale: Scale, pair: Pair[Cell], seeds: Sequence[int] | None) -> bool:
    runs = [*pretrainings(scale, pair, seeds), *scan(scale, pair)]
    runs += [config for cell in pair for config in cell_runs(scale, cell, seeds)]
    return all(is_available(config, weights=False) for config in runs)


def available_arms(scale: Scale, pairs: Sequence[Pair[Cell]]) -> list[Pair[Arm]]:
    """The arms of ``pairs`` whose runs are available, with those seeds that have all of them; nothing is trained."""
    arms = []
    for pair in pairs:
        seeds = [seed for seed in seeds_of(scale, pair.scratch, None) if _is_complete(scale, pair, [seed])]
        arms += compare_arms(scale, [pair], seeds) if seeds else []
    return arms


def pairs_to_show(
    scale: Scale, pairs: Sequence[Pair[Cell]], seeds: Sequence[int] | None, missing: str
) -> list[Pair[Cell]]:
    """All ``pairs``, or those whose runs are all recorded or stored.

    Args:
        scale: theirs.
        pairs: of cells.
        seeds: None takes the scale's own.
        missing: one of `MISSING`: whether pairs with missing runs are trained or left out.

    Raises:
        ValueError: ``missing`` is another word, or no pair has all its runs.
    """
    if missing not in MISSING:
        raise ValueError(f"missing = {missing!r}: choose from {MISSING}")
    if missing == TRAIN:
        return list(pairs)
    complete = complete_pairs(scale, pairs, seeds)
    if not complete:
        raise ValueError(f"none of {len(pairs)} pairs has all its runs recorded or stored: set missing = {TRAIN!r}")
    return complete


def yardsticks(scale: Scale, model: str, systems: Sequence[str], learning_rate: float, seed: int) -> list[RunConfig]:
    """``model`` from scratch on each of MD22's ``systems``, on a random split and on one in the file's order."""
    return [
        scale.finetune(Cell(model, f"md22/{system}", False), learning_rate, seed, split_order=order)
        for system in systems
        for order in ORDERS
    ]
