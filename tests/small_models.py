"""The test table of models: each small, with weights that make every part of it answer. A new model adds a line."""

import numpy as np
import torch

from lib import models
from lib.batches import Batch

SMALL = {
    "egnn": {"hidden_channels": 12, "n_layers": 3},
    "schnet": {"hidden_channels": 12, "num_filters": 10, "num_interactions": 2, "num_gaussians": 8},
    "torchmd_net": {"hidden_channels": 12, "num_layers": 2, "num_rbf": 8, "num_heads": 2},
    "se3_transformer": {"n_layers": 2, "degrees": 3, "radial_channels": 8, "out_channels": 8},
    "tensornet": {"hidden_channels": 12, "num_layers": 2, "num_rbf": 8},
    "visnet": {"hidden_channels": 12, "num_layers": 2, "num_rbf": 8, "num_heads": 2},
}
SPREAD = {"visnet": 0.1}  # of random weights where 0.3 makes noises of 1e17


def molecules(sizes=(6, 1, 9, 2), seed=0):
    rng = np.random.default_rng(seed)
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    return rng.integers(0, 28, len(molecule)), 1.8 * rng.normal(size=(len(molecule), 3)), molecule


def build(name, dtype, seed=0, **settings):
    torch.manual_seed(seed)
    model = models.build(name, SMALL[name] | settings).to(dtype)
    with torch.no_grad():  # weights that are not small, so that every part of the model answers
        for parameter in model.parameters():
            parameter.add_(SPREAD.get(name, 0.3) * torch.randn_like(parameter))
    return model


def answer(model, dtype, z, pos, molecule):
    return model(Batch.from_arrays(z, pos, molecule, model.settings.cutoff).to("cpu", dtype))
