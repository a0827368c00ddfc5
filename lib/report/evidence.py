"""What the rules decide from: the recorded or stored runs of the paper's matrix, pair by pair, by data set and metric.

A `Case` has the errors of both arms with their draws (`statistics.Sample`), so that whatever is compared (arms, models,
shares of the data, noises) is a paired difference over the same seeds and test molecules.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib.data.datasets import SUITES, find, open_store, paper_names
from lib.errors import required
from lib.models import MODELS
from lib.models.transfer import ALL, LAYERS, TURNED
from lib.report.statistics import (
    Comparison,
    Estimate,
    Sample,
    borrow,
    compare,
    errors_of,
    estimate,
    gain,
    seed_of,
    spread_of,
)
from lib.report.subsets import kinds_of_atoms, polarity
from lib.report.tables import LEARNT, explained
from lib.report.trials import comparison_of, learnt_of
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import stored
from lib.study.arms import LEAVE_OUT, Arm, available_arms, pretrainings
from lib.study.cells import Pair, members
from lib.study.equilibrium import MANY, MANY_RELAXED, SUITE, equilibrium_trials
from lib.study.head import head_trials
from lib.study.matrix import MATRIX
from lib.study.published import LABELS, MINI_START, PUBLISHED_START, SCRATCH, WHOLE, trials_beside
from lib.study.scale import SIGMA, Scale
from lib.study.trials import Trial, arms_of
from lib.training.metrics import ERRORS

Subsets = dict[str, NDArray[np.int64] | None]
Cell = tuple[str, str, str, float, float]  # data set, system, model, share of the data, σ (Å): `Case.cell`
DENOISING_ITEM = "Denoising"  # the error of pre-training by σ
DENOISING = "denoising error"  # the metric of pre-training, in units of σ²


@dataclass(frozen=True)
class Part:
    """Where an item of the paper is found.

    Attributes:
        group: of `matrix.MATRIX`.
        metrics: of `metrics.ERRORS`.
        subset: what its test conformations are called.
        split: what of them is asked for too: names of subsets and their molecules, from the suite.
    """

    group: str
    metrics: tuple[str, ...] = ERRORS
    subset: str = ""
    split: Callable[[str], Subsets] = lambda _: {}


def parts_of_spice(suite: str) -> Subsets:
    """Subsets of SPICE by kinds of atoms and by polarity."""
    return {**kinds_of_atoms(open_store(find(f"{suite}/spice"))), **polarity(suite)}


PARTS: dict[str, Part] = {
    "Table 2": Part("Table 2"),
    "Figure 2a": Part("Figure 2, ISO17", ("rmse",), "unknown molecules"),
    "Figure 2b": Part("Figure 2, ISO17", ("mae",), "unknown molecules"),
    "Figure 2c": Part("Figure 2, SPICE", ("rmse",), "all"),
    "Figure 2d": Part("Figure 2, SPICE", ("mae",), "all", parts_of_spice),
    "Figure 3": Part("Figure 3", ("mae",)),
    "Figure 4": Part("Figure 4", ("mae",)),
    "Figure 5": Part("Figure 5"),
}

STARTS = {start: (SCRATCH, start) for start in (PUBLISHED_START, MINI_START)}
# what the paper's matrix does not ask: by item the trials, and by subset the arms that are compared
OF_TRIALS: dict[str, tuple[Callable[[Scale], list[Trial]], dict[str, tuple[str, str]]]] = {
    "Equilibrium": (
        equilibrium_trials,
        {"the same molecules": (MANY_RELAXED, MANY)},  # of few molecules the two arms hold different ones
    ),
    "Head": (head_trials, {"as it is": (LAYERS, ALL), "sign turned": (LAYERS, TURNED)}),
    "Published data": (lambda scale: trials_beside(scale, [name for name in LABELS if name != WHOLE]), STARTS),
    "Published data, all labels": (lambda scale: trials_beside(scale, [WHOLE]), STARTS),
}


@dataclass(frozen=True)
class Case:
    """One pair of arms on one test set and metric, by the paper's names; ``learnt``: whether each arm learnt anything.

    ``share`` is of the training conformations, ``sigma`` (Å) that of the pre-training.
    """

    item: str
    dataset: str
    system: str
    subset: str
    model: str
    metric: str
    share: float
    sigma: float
    learnt: tuple[bool, bool]
    comparison: Comparison

    @property
    def n_seeds(self) -> int:
        """Of both arms."""
        return len(self.comparison.scratch.by_seed)

    @property
    def scratch(self) -> Sample:
        """Errors from scratch."""
        return self.comparison.scratch

    @property
    def tuned(self) -> Sample:
        """Errors with pre-training."""
        return self.comparison.pretrained

    @property
    def cell(self) -> Cell:
        """What was trained: the same for all metrics and subsets."""
        return self.dataset, self.system, self.model, self.share, self.sigma

    @property
    def name(self) -> str:
        """For reading: all that tells it from others."""
        sigma = "" if self.sigma == SIGMA else f"σ = {self.sigma:g} Å"
        share = "" if self.share == 1 else f"{100 * self.share:g} %"
        words = (self.model, self.dataset, self.system, self.subset, self.metric.upper(), share, sigma)
        return " ".join(word for word in words if word)


def gain_of(cases: Sequence[Case]) -> Estimate:
    """The improvement in per cent, mean over ``cases``."""
    return estimate(gain, samples_of(cases))


def samples_of(cases: Sequence[Case]) -> list[Sample]:
    """Their arms, from scratch and pre-trained in turns."""
    return [s for case in cases for s in case.comparison.samples]


ITEMS = (*PARTS, DENOISING_ITEM, *OF_TRIALS)


def gather(scale: Scale, items: Collection[str] = ITEMS) -> list[Case]:
    """Every case of ``items`` whose runs are recorded or stored; of other names than `ITEMS` there is none."""
    cases = [case for item in PARTS if item in items for case in _of_item(scale, item)]
    if DENOISING_ITEM in items:
        cases += _denoising(scale)
    return cases + [case for item in OF_TRIALS if item in items for case in _of_trials(scale, item)]


def _of_item(scale: Scale, item: str) -> list[Case]:
    """The cases of ``item``; those of a single seed borrow the spread of the item's other seeds."""
    part, cases = PARTS[item], []
    for pair in available_arms(scale, MATRIX[part.group](scale)):
        for name, molecules in ({part.subset: None} | part.split(scale.suite)).items():
            cases += _of_pair(scale, item, pair, name, molecules)
    for metric in part.metrics:
        own = [k for k, case in enumerate(cases) if case.metric == metric]
        spread = spread_of([cases[k].comparison for k in own if any(cases[k].learnt)])
        for k in own:
            seed = seed_of(cases[k].model + cases[k].system)
            cases[k] = replace(cases[k], comparison=borrow(cases[k].comparison, spread, seed))
    return cases


def _of_pair(scale: Scale, item: str, arms: Pair[Arm], subset: str, molecules: NDArray[np.int64] | None) -> list[Case]:
    """One pair of ``arms`` in every metric of ``item``; none where a seed tests none of the ``molecules``."""
    errors = Pair(*([errors_of(result, molecules=molecules) for result in arm.results] for arm in arms))
    if not all(len(e.molecule) for arm in errors for e in arm):
        return []
    cell, cases = arms.pretrained.cell, []
    kind, _, system = cell.data.partition("/")
    dataset = paper_names(scale.suite)[scale.data_label(kind)]
    for metric in PARTS[item].metrics:
        plain, pretrained = (explained(scale, arm, metric, "test", molecules) >= LEARNT for arm in arms)
        comparison = compare(errors.scratch, errors.pretrained, metric, seed_of(cell.data))
        cases.append(Case(item, dataset, system, subset, MODELS[cell.model].label, metric, cell.share, cell.sigma,
                          (plain, pretrained), comparison))  # fmt: skip
    return cases


def _of_trials(scale: Scale, item: str) -> list[Case]:
    """The cases of ``item`` of `OF_TRIALS`, which stand beside those of the mini suite alone."""
    trials, pairs = OF_TRIALS[item]
    return [
        case
        for trial in (trials(scale) if scale.suite == SUITE else ())
        for subset, pair in pairs.items()
        for case in _of_trial(scale, item, trial, subset, pair)
    ]


def trial_cells(scale: Scale) -> list[tuple[str, str, Cell]]:
    """The item, subset and cell of every pair of arms of `OF_TRIALS`, run or not."""
    return [
        (item, _subset_of(trial, subset), _cell_of(scale, trial))
        for item, (trials, pairs) in OF_TRIALS.items()
        for trial in (trials(scale) if scale.suite == SUITE else ())
        for subset in pairs
    ]


def _cell_of(scale: Scale, trial: Trial) -> Cell:
    """What all arms of ``trial`` train, by the paper's names."""
    config = _reference_run(trial)
    kind, _, system = config.data[0].name.partition("/")[2].partition("/")
    return paper_names(scale.suite)[scale.data_label(kind)], system, MODELS[config.model].label, 1.0, SIGMA


def _subset_of(trial: Trial, subset: str) -> str:
    return subset if _reference_run(trial).lowest == 1 else f"relaxed end, {subset}"


def _reference_run(trial: Trial) -> RunConfig:
    return trial.arms[trial.reference](trial.rates[0], trial.seeds[0])


def _of_trial(scale: Scale, item: str, trial: Trial, subset: str, pair: tuple[str, str]) -> list[Case]:
    """Two arms of ``trial`` in every metric, over the seeds that both have; none where they have none in common."""
    dataset, system, model, share, sigma = _cell_of(scale, trial)
    arms, cases = arms_of(trial, LEAVE_OUT), []
    for metric in ERRORS if all(name in arms for name in pair) else ():
        before, after = (arms[name] for name in pair)
        comparison = comparison_of(before, after, metric)
        if comparison is not None:
            cases.append(Case(item, dataset, system, _subset_of(trial, subset), model, metric, share, sigma,
                              learnt_of(before, after), comparison))  # fmt: skip
    return cases


def _denoising(scale: Scale) -> list[Case]:
    """The validation denoising error at each σ of Figure 5 beside that at `SIGMA`, by seed, in units of σ²."""
    by_sigma: dict[tuple[str, float], dict[int, Result]] = {}
    for config in pretrainings(scale, members(MATRIX["Figure 5"](scale))):
        result = stored(config)
        if result is not None:
            by_sigma.setdefault((config.model, required(config.sigma, "sigma")), {})[config.seed] = result
    cases = []
    for (model, sigma), results in by_sigma.items():
        usual = by_sigma.get((model, SIGMA), {})
        seeds = sorted(results.keys() & usual.keys())
        if seeds and sigma != SIGMA:
            arms = ([r[s].metrics["validation_denoising_error"] for s in seeds] for r in (usual, results))
            comparison = Comparison(*(Sample.of_seeds(np.array(arm)) for arm in arms))
            cases.append(Case(DENOISING_ITEM, SUITES[scale.suite], "", "", MODELS[model].label, DENOISING, 1.0, sigma,
                              (True, True), comparison))  # fmt: skip
    return cases
