"""Equation 8: which way the noise points, and what counts once."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.noising import gaussian_noise
from lib.report import pseudoforce
from lib.report.examples import NoisedExample
from lib.report.pseudoforce import ITEM, correlation_table, correlations, error_by_element, pseudo_forces
from lib.study.scales import get_scale

CH4 = np.float32(0.63) * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float32)


def test_minus_the_noise_points_along_the_forces(monkeypatch):
    """Forces at noised geometries pull back: a network that finds the noise has it in the right direction."""

    def finds_the_noise(model, found, sigma, rng):
        noise = gaussian_noise(5, sigma, rng)
        return NoisedExample(np.array([6, 1, 1, 1, 1]), CH4, noise, noise)

    monkeypatch.setattr(pseudoforce, "denoised", finds_the_noise)
    store = SimpleNamespace(gather=lambda _: SimpleNamespace(types=np.array([3, 10, 10, 10, 10])))
    monkeypatch.setattr(pseudoforce, "splits", lambda _: None)
    selections = {"validation": [SimpleNamespace(store=store, index=np.arange(3))]}
    monkeypatch.setattr(pseudoforce, "select", lambda *_: selections)
    result = SimpleNamespace(weights=lambda: SimpleNamespace(build=lambda: None))
    found = pseudo_forces(SimpleNamespace(sigma=0.1), result, 8, 0)
    assert found["true"].tolist() == found["predicted"].tolist()
    assert correlations(found, "true").mean() > 0.4
    assert found["element"].tolist() == 8 * (["C"] * 3 + ["H"] * 12)


def probe(seed, scatter):
    """Six conformations of ten coordinates; those of one seed have the same forces and true noise."""
    rng = np.random.default_rng(seed)
    force, true = rng.normal(size=(2, 60))
    predicted = force + scatter * np.random.default_rng(7).normal(size=60)
    return pd.DataFrame({"conformation": np.repeat(np.arange(6), 10), "force": force, "true": force + true,
                         "predicted": predicted})  # fmt: skip


def test_conformations_of_one_seed_count_once_for_the_true_noise():
    configs = [SimpleNamespace(model=m, seed=0) for m in ("egnn", "schnet")]
    table = correlation_table(get_scale("laptop"), configs, [probe(0, 0.1), probe(0, 0.5)]).set_index(["item", "model"])
    alone = correlation_table(get_scale("laptop"), configs[:1], [probe(0, 0.1)]).set_index(["item", "model"])
    for key in ("value", "low", "high", "n_seeds"):
        assert table.loc[(f"{ITEM}, true noise", "none"), key] == alone.loc[(f"{ITEM}, true noise", "none"), key]
    difference = table.loc[(f"{ITEM}, beyond the true noise", "EGNN"), "value"]
    means = table.loc[(ITEM, "EGNN"), "value"] - table.loc[(f"{ITEM}, true noise", "none"), "value"]
    assert difference == pytest.approx(means)


def test_the_error_of_the_noise_by_element_is_in_units_of_sigma_squared():
    found = pd.DataFrame({"element": ["H", "H", "C"], "true": [0.0, 0.1, 0.2], "predicted": [0.2, 0.1, 0.0]})
    assert error_by_element(found, 0.2).to_dict() == pytest.approx({"H": 0.5, "C": 1.0})
