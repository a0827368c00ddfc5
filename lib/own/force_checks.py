"""Force labels frame by frame: net force and torque, exact zeros, and frames that a simple model of the others rejects.

The simple model is a sum over atom pairs of cubic polynomials of the distance, which least squares fits to the forces
of all frames of a molecule; forces that have its direction and another size were labelled otherwise than the rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.own.findings import ERROR, WARNING, Array, Checks, Numbers, frame_list

NET, TORQUE = 0.02, 0.05  # of the sums of |F| and of |x| |F| over atoms; labels of molecules in vacuum stay below 0.005
SMALLEST = 1.0  # kcal/mol/Å, and kcal/mol: net forces and torques below are rounding
POWERS = 3  # of distances, of the simple model
EQUATIONS = 3.0  # force components for each parameter of the simple model, at least
EXPLAINED = 0.8  # share of the forces' variance that it must explain to be believed
SEVERAL = 2  # frames that stand out; one alone is an odd geometry
FEWEST, FRAMES_FITTED, LARGEST = 30, 250, 40  # frames at least; frames that are fitted, and atoms, at most
ROUNDS = 3  # of fitting without the frames that stood out before
AT_ONCE = 10  # frames whose equations are multiplied at once: some 22 MB at most
DEVIATIONS = 4.5  # robust standard deviations, beyond which a frame stands out
SMALL, LARGE = 0.7, 1.5  # slopes between are those of odd geometries: 0.75 to 1.46 in real molecular dynamics
COSINE = 0.85  # of its forces with the simple model's, above which a frame's geometry is no other than the rest's


def check_forces(x: Array, forces: Array, numbers: Numbers, thorough: bool = True) -> Checks:
    """All checks of this module of the frames of one molecule.

    Args:
        x: (M, N, 3) Å.
        forces: (M, N, 3) kcal/mol/Å.
        numbers: (M,) of the frames in the file.
        thorough: whether the simple model is fitted, which takes up to a second.
    """
    if x.shape[1] < 2:
        return []
    out = _zeros(x, forces, numbers) or _net(x, forces, numbers)
    return out or (_misfits(x, forces, numbers) if thorough else [])


def _shares(x: Array, forces: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames (M,) have a net force, and which a torque about their centre."""
    arm = x - x.mean(1, keepdims=True)
    size = np.linalg.norm(forces, axis=2)
    net, torque = np.linalg.norm(forces.sum(1), axis=1), np.linalg.norm(np.cross(arm, forces).sum(1), axis=1)
    turning = (np.linalg.norm(arm, axis=2) * size).sum(1)
    return (net > np.maximum(SMALLEST, NET * size.sum(1))), (torque > np.maximum(SMALLEST, TORQUE * turning))


def _net(x: Array, forces: Array, numbers: Numbers) -> Checks:
    """Net forces and torques, which an isolated molecule has none of."""
    out: Checks = []
    for what, odd in zip(("net force", "torque"), _shares(x, forces), strict=True):
        if 2 * odd.sum() > len(odd):
            out.append(
                (
                    WARNING,
                    f"forces of {odd.sum()} of {len(odd)} frames have a {what}, which those of an "
                    "isolated molecule have not: are the atoms in a field, a cell, or held?",
                )
            )
        elif odd.any() and not out:
            out.append(
                (
                    ERROR,
                    f"forces have a {what} in {frame_list(numbers[odd])} and not in the others "
                    f"({odd.sum()} of {len(odd)}): they are wrong there; label those frames again or leave "
                    "them out",
                )
            )
    return out


def _zeros(x: Array, forces: Array, numbers: Numbers) -> Checks:
    """Forces that are exactly zero: missing ones, or those of atoms that were held fixed."""
    zero = (forces == 0).all(2)
    if (whole := zero.all(1)).any():
        return [
            (
                ERROR,
                f"all forces are exactly zero in {frame_list(numbers[whole])}: they seem to be missing; leave "
                "those frames out, or all forces",
            )
        ]
    net, torque = _shares(x, forces)
    fixed = zero.any(1) & (net | torque)  # by symmetry they may be zero, but then nothing is missing from the sum
    if not fixed.any():
        return []
    atoms = ", ".join(map(str, np.flatnonzero(zero[fixed].any(0))[:5]))
    return [
        (
            ERROR,
            f"forces of atoms {atoms} are exactly zero in {frame_list(numbers[fixed])}, and the others do not "
            "add up to zero: were these atoms held fixed? take the forces without constraints",
        )
    ]


@dataclass(frozen=True)
class _Fit:
    """Of each frame (M,): slope of its forces on the simple model's, and the cosine of the two."""

    slope: Array
    cosine: Array

    def odd(self) -> NDArray[np.bool_]:
        """Frames whose forces have the simple model's direction, and not its size, by far more than the others."""
        away = np.abs(self.slope - np.median(self.slope))
        far = away > DEVIATIONS * 1.4826 * float(np.median(away))
        return far & ((self.slope < SMALL) | (self.slope > LARGE)) & (np.abs(self.cosine) > COSINE)


def _misfits(x: Array, forces: Array, numbers: Numbers) -> Checks:
    """Frames whose forces are of another size than those of frames like them: another unit, a factor, the sign."""
    fit = _fitted(x, forces)
    if fit is None or (odd := fit.odd()).sum() < SEVERAL:
        return []
    return [
        (
            ERROR,
            f"forces of {frame_list(numbers[odd])} ({odd.sum()} of {len(odd)}) are "
            f"{np.median(fit.slope[odd]):.2f} times those of frames like them: they are labelled otherwise; "
            "bring all to one unit, or leave them out",
        )
    ]


def _fitted(x: Array, forces: Array) -> _Fit | None:
    """The simple model fitted to some frames, applied to all; None where it has too few or explains too little."""
    m, n = x.shape[:2]
    parameters = POWERS * n * (n - 1) // 2
    fitted = np.linspace(0, m - 1, min(m, FRAMES_FITTED)).round().astype(int)
    if m < FEWEST or not 2 < n <= LARGEST or 3 * n * len(fitted) < EQUATIONS * parameters:
        return None
    design, keep = _Design.of(x), np.ones(m, dtype=bool)
    for _ in range(ROUNDS):
        model = design.forces(design.solve(fitted[keep[fitted]], forces))
        product, squares = (forces * model).sum((1, 2)), np.maximum((model**2).sum((1, 2)), 1e-12)
        fit = _Fit(product / squares, product / np.sqrt(squares * np.maximum((forces**2).sum((1, 2)), 1e-12)))
        stays = ~fit.odd()
        if (stays == keep).all() or 3 * n * stays[fitted].sum() < EQUATIONS * parameters:
            break
        keep = stays
    rest = np.square(forces - model)[keep].sum() / np.square(forces[keep]).sum()
    return fit if rest < 1 - EXPLAINED else None


@dataclass(frozen=True)
class _Design:
    """Powers of scaled distances of all pairs, and the unit vectors along them.

    E = Σ_pairs Σ_p w_p t^p, t = (d - mean) / deviation; the force on i from j is dE/dd along x_j - x_i.
    """

    i: Numbers
    j: Numbers
    t: Array  # (M, P)
    scale: Array  # (P,) Å
    unit: Array  # (M, P, 3)
    atoms: int

    @staticmethod
    def of(x: Array) -> "_Design":
        """Of the frames ``x`` (M, N, 3)."""
        i, j = np.triu_indices(x.shape[1], 1)
        away = x[:, j] - x[:, i]
        d = np.linalg.norm(away, axis=2)
        scale = np.maximum(d.std(0), 1e-3)
        t = np.clip((d - d.mean(0)) / scale, -4.0, 4.0)
        return _Design(i, j, t, scale, away / d[:, :, None], x.shape[1])

    def _slopes(self, t: Array) -> Array:
        """Derivatives p t^(p-1) / scale of each pair and power, (POWERS, M, P)."""
        return np.array([p * t ** (p - 1) / self.scale for p in range(1, POWERS + 1)])

    def solve(self, frames: Numbers, forces: Array) -> Array:
        """The weights (POWERS, P) of least squares (with a little ridge) on the ``forces`` of ``frames``."""
        pairs, size = np.arange(len(self.i)), POWERS * len(self.i)
        gram, right = np.zeros((size, size)), np.zeros(size)
        for some in np.split(frames, range(AT_ONCE, len(frames), AT_ONCE)):
            along = self._slopes(self.t[some])[..., None] * self.unit[some]  # (POWERS, frames, P, 3)
            rows = np.zeros((POWERS, len(pairs), len(some), self.atoms, 3))
            rows[:, pairs, :, self.i] = along.transpose(2, 0, 1, 3)
            rows[:, pairs, :, self.j] = -along.transpose(2, 0, 1, 3)
            flat = rows.reshape(size, -1)
            gram += flat @ flat.T
            right += flat @ forces[some].ravel()
        gram[np.diag_indices(size)] += 1e-4 * np.trace(gram) / size
        return np.asarray(np.linalg.solve(gram, right), dtype=np.float64).reshape(POWERS, -1)

    def forces(self, weights: Array) -> Array:
        """Forces (M, N, 3) of the model."""
        pull = (weights[:, None] * self._slopes(self.t)).sum(0)[:, :, None] * self.unit
        pairs = np.arange(len(self.i))
        sign = np.zeros((self.atoms, len(pairs)))
        sign[self.i, pairs], sign[self.j, pairs] = 1.0, -1.0
        return np.matmul(sign, pull)
