"""Figures: short functions of saved results, one module a subject; each returns a matplotlib figure."""

from lib.report.figures.comparisons import arm_bars, gains
from lib.report.figures.cost import cost_by_size
from lib.report.figures.data import distributions
from lib.report.figures.denoising import bond_lengths, denoising_curve, figure1, noised_copies, scatter
from lib.report.figures.details import error_details
from lib.report.figures.interactive import slider
from lib.report.figures.ledger import verdict_counts, verdicts
from lib.report.figures.levels import two_levels
from lib.report.figures.molecule_3d import shaken
from lib.report.figures.molecules import gallery
from lib.report.figures.potentials import (
    by_labels,
    calibration,
    energies_in_time,
    parity,
    torsion,
    vibrations,
)
from lib.report.figures.series import error_by_share, error_by_sigma, gain_by_labels, two_arms
from lib.report.figures.soundness import soundness
from lib.report.figures.style import save_figure, set_style
from lib.report.figures.trials import trial_errors

__all__ = [
    "arm_bars",
    "bond_lengths",
    "by_labels",
    "calibration",
    "cost_by_size",
    "denoising_curve",
    "distributions",
    "energies_in_time",
    "error_by_share",
    "error_by_sigma",
    "error_details",
    "figure1",
    "gain_by_labels",
    "gains",
    "gallery",
    "noised_copies",
    "parity",
    "save_figure",
    "scatter",
    "set_style",
    "shaken",
    "slider",
    "soundness",
    "torsion",
    "trial_errors",
    "two_arms",
    "two_levels",
    "verdict_counts",
    "verdicts",
    "vibrations",
]
