"""Energies of a molecule's conformations held against their forces: units, signs, energies per atom."""

import numpy as np
from numpy.typing import NDArray

from lib.data.store import ConformationStore
from lib.own.findings import ALIKE, ERROR, FRAMES, SAME, WARNING, Array, Checks, by_frame
from lib.units import BOHR, EV, HARTREE, KILOJOULE

FACTORS = {
    "Hartree and eV": HARTREE / EV,
    "Hartree and kcal/mol": HARTREE,
    "eV and kcal/mol": EV,
    "kcal/mol and kJ/mol": 1 / KILOJOULE,
    "eV and kJ/mol": EV / KILOJOULE,
    "Hartree and kJ/mol": HARTREE / KILOJOULE,
}
GAP = 8.0  # times apart: energies an atom of molecules in one unit are nearer
SIMILAR = 0.6  # Å: the farthest that an atom moves between similar frames
OUTLIER = 50.0  # times the median deviation of energies: one such would decide the slope alone
ENOUGH = 8  # pairs of similar frames
SURE = 0.9  # correlation of energies and forces, above which their slope tells units
LOG_BOHR = -np.log(BOHR)
NEAR, NEARER = 0.35, 0.12  # of the logarithm of a slope to that of a ratio of units, and of a product of two
RATIOS = [
    (name + ending, np.log(factor) + more, near)  # what differs, logarithm, how near a slope must be
    for name, factor in FACTORS.items()
    for more, ending, near in (
        (0.0, "", NEAR),
        (LOG_BOHR, " with Å and bohr", NEARER),
        (-LOG_BOHR, " with Å and bohr", NEARER),
    )
]


def judged(slope: float, correlation: float, atoms: float) -> Checks:
    """What slope and correlation of `agreement` say of a molecule of so many ``atoms``."""
    if not abs(correlation) > 0.5:
        return [
            (
                WARNING,
                f"energies and forces do not belong together (correlation {correlation:.2f} over pairs of "
                "similar frames): are they of the same level of theory, in the same order?",
            )
        ]
    if slope < 0:
        return [(ERROR, "forces have the sign of gradients of the energies: change that of the one that is wrong")]
    if 0.6 < slope < 1.6:
        return []
    said = f"between similar frames energies change {slope:.3g} times as much as the forces say"
    size = abs(np.log(slope))
    if not correlation > SURE:
        return [(WARNING, f"{said} (correlation {correlation:.2f}: frames far apart, perhaps): are they in one unit?")]
    if abs(size - LOG_BOHR) < 0.1:
        return [(ERROR, f"{said}, the ratio of Å and bohr: give forces_length_unit (--forces-length-unit)")]
    far = [(away, name) for name, ratio, near in RATIOS if (away := abs(size - ratio)) < near]
    nearest, _ = min(far, default=(NEAR, ""))
    if slope < 1 and abs(size - np.log(atoms)) < nearest:
        return [(ERROR, f"{said}, one over the number of atoms: energies seem to be per atom; give those of molecules")]
    if far:
        names = " or ".join(name for away, name in far if away < nearest + ALIKE)
        return [(ERROR, f"{said}, near the ratio of {names}: the two are in different units; bring both to one")]
    if 0.3 < slope < 3.0:
        return [(WARNING, f"{said}: are they in one unit?")]
    return [(ERROR, f"{said}: they cannot be in one unit; bring both to one")]


def agreement_of(store: ConformationStore, index: NDArray[np.int64]) -> tuple[int, float, float]:
    """`agreement` in `FRAMES` of the conformations ``index`` of one molecule, but for energies far from the others."""
    away = np.abs(store.energy(index) - np.median(store.energy(index)))
    index = index[away <= OUTLIER * max(float(np.median(away)), SAME)]
    index = index[np.linspace(0, len(index) - 1, min(FRAMES, len(index))).round().astype(int)]
    x, forces = (by_frame(r, len(index)) for r in (store.gather(index).positions, store.gather_forces(index)))
    return agreement(store.energy(index), x, forces)


def agreement(energy: Array, x: Array, forces: Array) -> tuple[int, float, float]:
    """Number of pairs of `SIMILAR` frames, and over them slope and correlation of E_j - E_i on what forces give.

    Args:
        energy: (M,).
        x: (M, N, 3) Å.
        forces: (M, N, 3), in the energies' unit over the lengths'.
    """
    x = x - x.mean(1, keepdims=True)
    i, j = np.triu_indices(len(energy), 1)
    turn = _superposing(x[i], x[j])
    step = x[j] @ turn - x[i]
    farthest = np.linalg.norm(step, axis=2).max(1)
    nearest = np.argsort(farthest)[: min(FRAMES, int((farthest < SIMILAR).sum()))]
    expected = -0.5 * ((forces[i] + forces[j] @ turn) * step).sum((1, 2))[nearest]
    changes = (energy[j] - energy[i])[nearest]
    if len(nearest) < 2 or not np.ptp(changes) > SAME * np.abs(energy).max() or not np.ptp(expected) > 0:
        return 0, np.nan, np.nan  # nothing to compare
    return len(nearest), float(changes @ expected / (expected @ expected)), float(np.corrcoef(changes, expected)[0, 1])


def _superposing(still: Array, moved: Array) -> Array:
    """Rotations R (P, 3, 3) that bring moved @ R nearest to still, both (P, N, 3) and centred (Kabsch 1976)."""
    u, _, v = np.linalg.svd(moved.swapaxes(1, 2) @ still)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ v))[:, None]
    return u @ v
