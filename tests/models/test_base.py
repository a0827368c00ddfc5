"""What every registered model has in common."""

from dataclasses import asdict

import pytest
import torch
from small_models import SMALL
from torch import nn

from lib import models
from lib.models.base import Model, linear_layer


@pytest.mark.parametrize("name", models.MODELS)
def test_a_model_has_settings_a_head_and_names_what_denoising_leaves_alone(name):
    torch.manual_seed(0)
    model = models.build(name, SMALL[name])
    assert isinstance(model, Model)
    assert asdict(model.settings)["cutoff"] == model.settings.cutoff > 0
    assert "energy_head." in model.not_pretrained
    names = list(model.state_dict())
    assert all(any(key.startswith(prefix) for key in names) for prefix in model.not_pretrained)
    assert {f"energy_head.{key}" for key in model.energy_head.state_dict()} <= set(names)


def test_a_linear_layer_is_named_by_its_position_alone():
    network = nn.Sequential(nn.Linear(2, 3), nn.SiLU(), nn.Linear(3, 1))
    assert linear_layer(network, 2) is network[2]
    with pytest.raises(TypeError, match="layer 1 is SiLU: give the position of a linear layer"):
        linear_layer(network, 1)
