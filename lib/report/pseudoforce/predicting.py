"""What a network predicts at the probed conformations, coordinate by coordinate beside their forces."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lib.batches import Batch
from lib.models.base import Model
from lib.report.pseudoforce.probing import Array, Probe
from lib.runs.results import Result


def coordinates(probed: Sequence[Probe], result: Result) -> pd.DataFrame:
    """What ``result`` predicts of the probed conformations, beside their forces.

    Returns:
        A row a coordinate: conformation, element of the atom; of the noised geometry ``force`` (kcal/mol/Å), and in Å
        minus the ``true`` noise, minus the ``predicted`` one and the step of ``bonds``; of the clean one
        ``clean_force``, minus the ``clean_predicted`` noise and ``clean_bonds``.
    """
    model = result.weights().build()
    noised, clean = (
        _predict(model, probed, geometries)
        for geometries in ([p.clean + p.noise for p in probed], [p.clean for p in probed])
    )
    columns = {
        "conformation": np.concatenate([np.full(3 * len(p.numbers), k) for k, p in enumerate(probed)]),
        "element": np.concatenate([np.repeat([chemical_symbols[z] for z in p.numbers], 3) for p in probed]),
        "force": _flat(p.forces[1] for p in probed),
        "true": -_flat(p.noise for p in probed),
        "predicted": -noised,
        "bonds": _flat(p.bonds[1] for p in probed),
        "clean_force": _flat(p.forces[0] for p in probed),
        "clean_predicted": -clean,
        "clean_bonds": _flat(p.bonds[0] for p in probed),
    }
    return pd.DataFrame(columns)


def _flat(arrays: Iterable[NDArray[np.floating]]) -> Array:
    """All coordinates of all conformations in a row."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


def _predict(model: Model, probed: Sequence[Probe], geometries: Sequence[Array]) -> Array:
    """The noise that ``model`` predicts at the ``geometries`` of the probed molecules, all coordinates in a row, Å."""
    owner = np.repeat(np.arange(len(probed)), [len(p.types) for p in probed])
    positions = np.concatenate(geometries).astype(np.float32)
    batch = Batch.from_arrays(np.concatenate([p.types for p in probed]), positions, owner, model.settings.cutoff)
    with torch.no_grad():
        return model(batch, energy=False).noise.numpy().ravel().astype(np.float64)
