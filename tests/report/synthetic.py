"""Cases with known gains, for tests of rules and of the ledger."""

import numpy as np

from lib.report.evidence import Case
from lib.report.statistics import REPLICATES, Comparison, Sample, _seed_weights

SEEDS = np.array([0.0, 1.0, -1.0])  # what the logarithms of three seeds differ by, times the spread


def sample(error, spread=0.0, shift=1, molecules=0.0):
    """An arm of three seeds with the mean ``error``, their logarithms ``spread`` apart.

    ``shift`` turns the seeds round, so that arms of another shift are not paired; ``molecules``: the standard deviation
    of the logarithm under draws of molecules, which all arms share.
    """
    logarithms = spread * np.roll(SEEDS, shift)
    by_seed = np.exp(logarithms)
    by_seed *= error / by_seed.mean()
    drawn = np.exp(molecules * np.random.default_rng(0).standard_normal(REPLICATES))
    moves = _seed_weights(3) @ (logarithms - logarithms.mean())
    return Sample(by_seed, by_seed[:, None] * drawn, moves, 1000)


def case(gain=30.0, spread=0.01, scratch=10.0, seeds=3, **facts):
    """A pair of arms with the improvement ``gain`` in per cent; half-width of its interval about 250 ``spread``."""
    base = {"item": "Table 2", "dataset": "ANI-1x", "system": "", "subset": "", "model": "EGNN", "metric": "mae",
            "share": 1.0, "sigma": 0.2, "learnt": (True, True)} | facts  # fmt: skip
    arms = [sample(scratch), sample(scratch * (1 - gain / 100), spread)]
    if seeds == 1:
        arms = [Sample(a.by_seed[:1], a.draws[:1], np.zeros(REPLICATES), 1000) for a in arms]
    return Case(**base, comparison=Comparison(*arms))
