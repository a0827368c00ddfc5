"""Whether a file holds forces or gradients: its energies say which of the two goes downhill."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.data.readers.checks import COPY_AGAIN
from lib.errors import DataError

SURE = 0.8  # of the molecules must agree
STEEP = 0.2  # the least slope of energies on work; frames far apart flatten it


def sign_of(path: Path, molecules: Iterable[tuple[NDArray, NDArray, NDArray]]) -> float:
    """1 where the vectors of a file are forces, -1 where they are gradients.

    From one frame to the next the energy of a molecule changes by about ``-½ (F_i + F_j) · (x_j - x_i)``.

    Args:
        path: of the file.
        molecules: positions (M, N, 3), energies (M,) and vectors (M, N, 3) of each, in units that belong together.

    Raises:
        DataError: shapes that do not fit, or energies that do not tell.
    """
    slopes = []
    for positions, energies, vectors in molecules:
        if positions.shape != vectors.shape or energies.shape != positions.shape[:1]:
            raise DataError(
                path,
                "",
                f"coordinates {positions.shape}, energies {energies.shape} and forces "
                f"{vectors.shape} of a molecule have shapes that do not fit",
                COPY_AGAIN,
            )
        vectors, steps = vectors.astype(np.float64), np.diff(positions.astype(np.float64), axis=0)
        work = -0.5 * ((vectors[1:] + vectors[:-1]) * steps).reshape(len(steps), -1).sum(1)
        if np.square(work).sum() > 0:
            slopes.append((np.diff(energies) * work).sum() / np.square(work).sum())
    sign = np.sign(np.median(slopes)) if slopes else 0.0
    agree = np.mean(np.sign(slopes) == sign) if slopes else 0.0
    if not agree >= SURE or not abs(np.median(slopes)) > STEEP:
        raise DataError(
            path,
            "",
            "its energies do not tell whether its forces are forces or gradients",
            "rename the data sets if they are not to be read",
        )
    return float(sign)
