"""A ridge regression on histograms of pair distances: how well a system's energies are learnt without a neural network.

For systems of one composition only (MD22, or one molecule of any set). It is a yardstick: where it learns and a network
does not, the network's training is at fault, not the data.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.data.splits import Split
from lib.data.store import ConformationStore

EDGES = np.arange(0.7, 4.0, 0.05)  # Å; fine bins, since near pairs are the most informative
SMOOTHING = 1.0  # standard deviation in bins
PENALTIES = np.logspace(-1, 5, 13)


def distance_histograms(z: NDArray[np.integer], positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Smoothed histograms of the distances between each two elements.

    Args:
        z: (N,) atomic numbers or types.
        positions: (M, N, 3) Å.

    Returns:
        (M, pairs of elements x bins).
    """
    i, j = np.triu_indices(len(z), 1)
    kinds = np.unique(np.sort(np.stack([z[i], z[j]], 1), 1), axis=0, return_inverse=True)[1].ravel()
    bins = len(EDGES) - 1
    out = np.zeros((len(positions), (kinds.max() + 1) * bins))
    for row, x in zip(out, positions.astype(np.float64), strict=True):
        distance = np.linalg.norm(x[i] - x[j], axis=1)
        bin_of = np.digitize(distance, EDGES) - 1
        inside = (bin_of >= 0) & (bin_of < bins)
        row += np.bincount(kinds[inside] * bins + bin_of[inside], minlength=len(row))
    return gaussian_filter1d(out.reshape(len(out), -1, bins), SMOOTHING, axis=2).reshape(len(out), -1)


def ridge_r2(store: ConformationStore, split: Split) -> float:
    """R² on the test part of a ridge fitted to training and validation parts, its penalty by leave-one-out.

    Args:
        store: holds one molecule.
        split: parts train, validation and test.

    Raises:
        ValueError: the store holds several molecules.
    """
    if len(store.names) != 1:
        raise ValueError(f"the ridge takes a store of one molecule, this one holds {len(store.names)}")
    index = np.arange(len(store))
    x = distance_histograms(store.types, store.gather(index).positions.reshape(len(index), -1, 3))
    y = store.relative_energy(index)
    fitted = np.concatenate([split.parts["train"], split.parts["validation"]])
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(x[fitted], y[fitted])
    return float(model.score(x[split.parts["test"]], y[split.parts["test"]]))
