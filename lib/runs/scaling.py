"""The scaling of an energy run, fitted to what its model learns: training energies without the repulsion of nuclei."""

import numpy as np
from numpy.typing import NDArray

from lib.data.loading import ConformationBatches, make_loader
from lib.errors import required
from lib.models.repulsion import repulsion
from lib.runs.config import RunConfig
from lib.training.scaling import Scaling

AT_ONCE = 256  # conformations


def fit_scaling(config: RunConfig, train: ConformationBatches) -> Scaling:
    """`Scaling.fit` with the baseline of ``config`` on the training conformations ``train``.

    Raises:
        ValueError: their energies do not vary.
    """
    energies = train.energies() - repulsion_energies(config, train)
    return Scaling.fit(required(config.baseline, "baseline"), energies, train.compositions())


def repulsion_energies(config: RunConfig, train: ConformationBatches) -> NDArray[np.float64]:
    """What the repulsion in the settings of ``config`` gives ``train``, (n,) kcal/mol; 0 where there is none."""
    if not config.settings.repulsion:
        return np.zeros(len(train))
    batches = make_loader(train, AT_ONCE, config.seed, shuffle=False, alone=True)
    return np.concatenate([repulsion(batch, config.settings)[0].numpy() for batch in batches])
