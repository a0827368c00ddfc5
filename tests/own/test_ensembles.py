"""An ensemble that was fine-tuned with a file of validation conformations: its spread is calibrated on them."""

import numpy as np
import pytest
from ase.io import read, write

from lib.data.datasets import open_store
from lib.models.weights import load_weights
from lib.own import datasets
from lib.own.finetuning import FineTuning
from lib.paths import DATA
from lib.potentials.calibration import evaluate_on, spread_factors
from lib.potentials.ensemble import Potential

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"


def test_its_spread_is_multiplied_by_what_validation_says(tmp_path):
    frames = read(FILE, ":90")
    write(tmp_path / "train.xyz", frames[:50], format="extxyz")
    write(tmp_path / "validation.xyz", frames[50:], format="extxyz")
    data, validation = (datasets.own_dataset(tmp_path / f"{name}.xyz", "eV") for name in ("train", "validation"))
    tuning = FineTuning(data, "schnet-smoke-dynamics", rates=(3e-3,), steps=20, seeds=(0, 1), validation=validation)
    paths = tuning.export(tuning.train(3e-3, 1), tmp_path)
    together, store = Potential.load(paths), open_store(validation)
    said = load_weights(paths[0]).about["ensemble"]
    assert together.spread_factors == (said["energy"], said["force"])
    errors = evaluate_on(together, store, np.arange(len(store)))
    assert spread_factors(errors, 2) == pytest.approx({"energy": 1.0, "force": 1.0}, rel=1e-3)
    assert not np.allclose(together.spread_factors, 1.0, rtol=1e-3)
    assert Potential.load(paths[:1]).spread_factors == (1.0, 1.0)
    assert Potential.load([paths[0], paths[0]]).spread_factors == (1.0, 1.0)
    alone = FineTuning(data, "schnet-smoke-dynamics", rates=(3e-3,), steps=20, seeds=(0, 1))
    assert "ensemble" not in load_weights(alone.export(alone.train(3e-3, 1), tmp_path)[0]).about
