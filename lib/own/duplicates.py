"""Whether two conformations of one molecule are the same, however they are turned, mirrored and numbered.

Each atom is described by three lengths: to the centre, to its nearest and to its farthest neighbour. Where no atom
moves by more than ε, none of them changes by more than 2 ε, nor do they when sorted; so files that were rounded to
three decimals are still known.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist, squareform

TOLERANCE = 2e-3  # Å
COLUMNS = 6  # of the description, in which like ones are looked for before all are compared
Array = NDArray[np.float64]


def described(x: Array, z: NDArray[np.integer]) -> Array:
    """Descriptions (M, 3 N) in Å of conformations ``x`` (M, N, 3) Å of a molecule of N > 1 atoms ``z`` (N,)."""
    out = np.empty((len(x), 3, len(z)))
    for k, frame in enumerate(x):
        distance = squareform(pdist(frame))
        out[k, 0] = np.linalg.norm(frame - frame.mean(0), axis=1)
        out[k, 2] = distance.max(0)
        np.fill_diagonal(distance, np.inf)
        out[k, 1] = distance.min(0)
    for element in np.unique(z):
        own = np.flatnonzero(z == element)
        out[:, :, own] = np.sort(out[:, :, own], axis=2)
    return out[:, :, np.argsort(z, kind="stable")].reshape(len(x), -1)


def first_equal(rows: Array) -> NDArray[np.int64]:
    """As `first_alike`, but rows that are linked to the first only through others count as different."""
    first = first_alike(rows)
    return np.where(_equal(rows, rows[first]), first, np.arange(len(rows)))


def first_alike(rows: Array) -> NDArray[np.int64]:
    """For each of ``rows`` (M, 3 N) the first one that is like it, or like one that is: itself, where none is."""
    kept, where = _distinct(rows)
    first = np.arange(len(kept))
    if len(kept) > 1:
        tree = cKDTree(rows[kept][:, _columns(rows)])
        pairs = tree.query_pairs(TOLERANCE, p=np.inf, output_type="ndarray")
        for i, j in sorted(pairs[_equal(rows[kept[pairs[:, 0]]], rows[kept[pairs[:, 1]]])].tolist()):
            first[j] = min(first[j], first[i])
    return kept[first[where]]


def are_among(rows: Array, others: Array) -> NDArray[np.bool_]:
    """Which of ``rows`` (M, 3 N) are like one of ``others`` (L, 3 N)."""
    if not len(rows) or not len(others):
        return np.zeros(len(rows), dtype=bool)
    kept, _ = _distinct(others)
    columns = _columns(others)
    near = cKDTree(others[kept][:, columns]).query_ball_point(rows[:, columns], TOLERANCE, p=np.inf)
    return np.array([bool(_equal(others[kept[matches]], row).any()) for row, matches in zip(rows, near, strict=True)])


def _distinct(rows: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the first rows of each kind up to rounding, ascending, and for each row the place of its own there.

    Many copies of one frame would otherwise make as many pairs as their number squared.
    """
    _, first, inverse = np.unique(rows.round(3), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[inverse.ravel()]


def _columns(rows: Array) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, rows.shape[1] - 1, COLUMNS).astype(int))


def _equal(rows: Array, others: Array) -> NDArray[np.bool_]:
    return np.asarray((np.abs(rows - others) <= TOLERANCE).all(-1))
