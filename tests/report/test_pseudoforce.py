"""Equation 8: which way the noise points, what the shrinkage alone makes, and what counts once."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.data.store import Conformations
from lib.noising import gaussian_noise
from lib.report.pseudoforce import (
    ITEM,
    coordinates,
    correlations,
    equation8_table,
    error_by_element,
    probes,
    probing,
    tabulating,
)
from lib.report.pseudoforce.correlating import combine, errors_of_noise, excess, measures
from lib.report.pseudoforce.probing import bond_step, mean_lengths
from lib.study.scales import get_scale

CH4 = np.float32(0.63) * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float32)
TYPES = np.array([3, 10, 10, 10, 10])  # C and four H


def methane():
    return Conformations(TYPES, CH4, np.zeros(5, dtype=np.int64), np.array([5]))


@pytest.fixture
def seen(monkeypatch):
    """Eight probes of methane from a store that holds nothing else."""
    store = SimpleNamespace(gather=lambda _: methane())
    parts = {part: [SimpleNamespace(store=store, index=np.arange(400))] for part in ("train", "validation")}
    monkeypatch.setattr(probing, "splits", lambda _: None)
    monkeypatch.setattr(probing, "select", lambda *_: parts)
    return probes(SimpleNamespace(sigma=0.1), 8, 0)


def network(noise_of):
    """A result whose model predicts ``noise_of(positions)``."""
    import torch

    class Model:
        settings = SimpleNamespace(cutoff=5.0)

        def __call__(self, batch, energy):
            assert not energy
            return SimpleNamespace(noise=torch.as_tensor(noise_of(batch.pos.numpy())))

    return SimpleNamespace(weights=lambda: SimpleNamespace(build=Model))


def test_minus_the_noise_points_along_the_forces_and_up_in_energy(seen):
    """Forces at noised geometries pull back: a network that finds the noise has it in the right direction."""
    assert len(seen) == 8
    rows = coordinates(seen, network(lambda x: x - np.tile(CH4, (len(x) // 5, 1))))
    assert rows["predicted"].to_numpy() == pytest.approx(rows["true"].to_numpy(), abs=1e-6)
    assert correlations(rows, "true").mean() > 0.4
    assert correlations(rows, "true", ranks=True).mean() > 0.4
    assert rows["element"].tolist() == 8 * (["C"] * 3 + ["H"] * 12)
    assert rows["clean_predicted"].abs().max() < 1e-6  # nothing is to be measured in the clean geometry
    signs = coordinates(seen, network(lambda x: x))  # a network that predicts the positions: they come with a minus
    assert signs["clean_predicted"].to_numpy() == pytest.approx(-np.tile(CH4.ravel(), 8), abs=1e-6)
    assert rows["clean_bonds"].abs().max() < 1e-6  # its bonds have the mean length
    assert rows["bonds"].abs().max() > 0.01
    assert all(p.energies[1] > p.energies[0] for p in seen)
    assert rows["clean_force"].to_numpy().reshape(8, -1).std(0).max() < 1e-6  # all are the same clean methane
    assert rows["force"].to_numpy().reshape(8, -1).std(0).min() > 1
    assert errors_of_noise(rows, 0.1).max() < 1e-9
    assert correlations(rows, "bonds").mean() > 0.5  # restoring bond lengths goes along the forces too
    step = seen[0].noise
    np.testing.assert_array_equal(step, gaussian_noise_of_first())


def test_forces_and_energies_are_in_kcal_per_mol(seen):
    """Of one Hartree 627.5 kcal/mol are made; methane has about -4.2 Hartree of GFN2-xTB's valence electrons."""
    from lib.chemistry.xtb import single_point

    label = single_point(seen[0].numbers, seen[0].clean, 0)
    assert seen[0].energies[0] == pytest.approx(627.509 * label.energy, rel=1e-4)
    assert -2700 < seen[0].energies[0] < -2500
    assert seen[0].forces[0] == pytest.approx(627.509 * label.forces, rel=1e-4, abs=1e-6)


def gaussian_noise_of_first():
    """The first probe's noise: the generator draws the conformation, then its noise."""
    rng = np.random.default_rng(0)
    rng.choice(np.arange(400), 1)
    return gaussian_noise(5, 0.1, rng)


def test_probes_that_do_not_converge_are_left_out(seen, monkeypatch):
    from lib.chemistry import xtb

    def torn(numbers, positions, charge):
        if np.allclose(positions, CH4, atol=1e-6):
            return xtb.Label(0.0, np.zeros((5, 3)))
        raise RuntimeError("not converged")

    monkeypatch.setattr(xtb, "single_point", torn)
    assert probes(SimpleNamespace(sigma=0.1), 3, 0) == []


def test_the_bond_step_restores_mean_lengths():
    z, bonds = np.array([6, 1, 1]), np.array([[0, 1], [0, 2]])
    x = np.array([[0.0, 0, 0], [1.3, 0, 0], [0, 1.0, 0]])
    step = bond_step(z, x, bonds, {(1, 6): 1.1})
    assert step.tolist() == pytest.approx(np.array([[0.1, -0.05, 0], [-0.1, 0, 0], [0, 0.05, 0]]))
    assert step.sum(0) == pytest.approx(0)
    assert bond_step(z, x, bonds, {}).tolist() == np.zeros((3, 3)).tolist()  # an unknown bond stays


def test_mean_lengths_are_by_pair_of_elements():
    lengths = mean_lengths([methane(), Conformations(TYPES, 2 * CH4, np.zeros(5, dtype=np.int64), np.array([5]))])
    assert lengths == pytest.approx({(1, 6): 0.63 * np.sqrt(3)})  # doubled, they are bonds no more
    moved = Conformations(TYPES, CH4 + np.float32([3, -1, 2]), np.zeros(5, dtype=np.int64), np.array([5]))
    assert mean_lengths([moved]) == pytest.approx({(1, 6): 0.63 * np.sqrt(3)}, rel=1e-5)  # wherever it lies
    two = Conformations(np.tile(TYPES, 2), np.concatenate([CH4, 1.1 * CH4]), np.repeat([0, 1], 5), np.array([5, 5]))
    assert mean_lengths([two]) == pytest.approx({(1, 6): 1.05 * 0.63 * np.sqrt(3)})


def probed_rows(seed=0, scatter=0.1, conformations=12, each=30):
    """Forces, noise and predictions by coordinate; those of one seed have the same forces and true noise."""
    rng = np.random.default_rng(seed)
    n = conformations * each
    force, noise, clean = rng.normal(size=(3, n))
    scale = np.repeat(np.arange(1, conformations + 1), each)
    more = np.random.default_rng(7).normal(size=(2, n))
    return pd.DataFrame({
        "conformation": np.repeat(np.arange(conformations), each), "element": "H", "force": force,
        "true": force + noise,
        "predicted": force + scatter * more[0], "bonds": force + more[1], "clean_force": scale * clean,
        "clean_predicted": clean + scatter * more[1], "clean_bonds": clean + more[0],
    })  # fmt: skip


def test_the_mean_of_all_noises_that_could_have_been_has_no_excess():
    """Two unknowns a, b of equal size make the noise a + b; the geometry tells a alone. The best prediction is a, its
    error half of the noise's square, and it correlates with any function of a more than the noise does by √2.
    """
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 40, 4000))
    rows = pd.DataFrame(
        {
            "conformation": np.repeat(np.arange(40), 4000),
            "predicted": a.ravel(),
            "true": (a + b).ravel(),
            "force": (a**3 + rng.normal(size=a.shape)).ravel(),
        }
    )
    error = errors_of_noise(rows, np.sqrt(2))
    assert error.mean() == pytest.approx(0.5, abs=0.01)
    plain, of_noise = correlations(rows, "predicted"), correlations(rows, "true")
    assert plain.mean() - of_noise.mean() > 0.15  # what a test of the difference would call a pseudo-force
    assert excess(plain, of_noise, error) == pytest.approx(0, abs=0.005)
    assert excess(plain + 0.1, of_noise, error) == pytest.approx(0.1, abs=0.005)
    assert np.isnan(excess(plain, of_noise, error + 0.5))  # no better than predicting nothing


def test_measures_are_what_they_are_called():
    rows = probed_rows()
    measured = measures(rows, 1.0)
    assert combine(measured["clean, rank"]) == pytest.approx(
        correlations(rows, "clean_predicted", "clean_force", True).mean()
    )
    near, far = (measured[f"clean, {word} equilibrium, rank"][0] for word in ("near", "far from"))
    assert len(near) == len(far) == 6
    np.testing.assert_array_equal(
        np.concatenate([near, far]), measured["clean, rank"][0]
    )  # forces grow with the number
    beyond = measured["clean, beyond bond lengths, rank"]
    bonds = correlations(rows, "clean_bonds", "clean_force", True)
    assert combine(beyond) == pytest.approx((measured["clean, rank"][0] - bonds).mean())
    noised = measured["beyond bond lengths, rank"]
    assert combine(noised) == pytest.approx(
        correlations(rows, "predicted", ranks=True).mean() - correlations(rows, "bonds", ranks=True).mean()
    )
    assert combine(measured["predicted noise"]) == pytest.approx(correlations(rows, "predicted").mean())
    assert combine(measured["predicted noise, rank"]) != combine(measured["predicted noise"])
    assert combine(measured["excess over the shrinkage"]) == pytest.approx(
        excess(correlations(rows, "predicted"), correlations(rows, "true"), errors_of_noise(rows, 1.0))
    )


def test_correlations_by_conformation_are_pearsons_or_of_ranks():
    rows = pd.DataFrame(
        {"conformation": [0] * 4 + [1] * 4, "force": [1.0, 2, 3, 4, 4, 3, 2, 1], "x": [1.0, 2, 3, 400, 1, 2, 3, 400]}
    )
    assert correlations(rows, "x", ranks=True) == pytest.approx([1, -1])
    pearson = correlations(rows, "x")
    assert pearson == pytest.approx([np.corrcoef([1, 2, 3, 4], [1, 2, 3, 400])[0, 1]] * 2 * np.array([1, -1]))


def test_networks_are_probed_at_the_same_conformations_which_count_once(seen):
    configs = [SimpleNamespace(model=m, seed=0, sigma=1.0) for m in ("egnn", "schnet")]
    both = [probed_rows(scatter=0.1), probed_rows(scatter=0.5)]
    table = equation8_table(get_scale("laptop"), configs, seen, both).set_index(["subset", "model"])
    alone = equation8_table(get_scale("laptop"), configs[:1], seen, both[:1]).set_index(["subset", "model"])
    for key in ("value", "low", "high", "n_seeds", "p_above", "p_below"):
        for measure in ("true noise", "true noise, rank", "energy of the noise"):
            assert table.loc[(measure, ""), key] == alone.loc[(measure, ""), key]
    rows = table.loc[[("clean, rank, by network", m) for m in ("EGNN", "SchNet")]]
    mean = table.loc[("clean, rank", "")]
    assert mean["value"] == pytest.approx(rows["value"].mean())
    assert (mean["n_seeds"], set(rows["n_seeds"]), table.loc[("true noise", ""), "n_seeds"]) == (2, {1}, 0)
    assert mean["why"] == f"mean over EGNN {rows['value'].iloc[0]:.3f}, SchNet {rows['value'].iloc[1]:.3f}"
    assert mean["high"] - mean["low"] > (rows["high"] - rows["low"]).max()  # networks differ, and are two
    assert table.loc[("energy of the noise", ""), "unit"] == "kcal/mol/atom"
    assert table.loc[("energy of the noise", ""), "why"] == "8 of 8 conformations above 0"
    assert set(table["item"]) == {ITEM}
    rises = [(p.energies[1] - p.energies[0]) / 5 for p in seen]
    assert table.loc[("energy of the noise", ""), "value"] == pytest.approx(np.mean(rises))
    assert (table["metric"] == "energy").sum() == 1
    assert len(table) == 8 * 3 + 5


def test_intervals_over_conformations_are_widened_for_few():
    """Of one network: Student's t over 8 conformations, not the bootstrap's narrower one."""
    from scipy.stats import t

    values = np.random.default_rng(1).normal(0.5, 0.1, 8)
    ends = tabulating._estimate([(values,)]).interval()
    half = t.ppf(0.975, 7) * values.std(ddof=1) / np.sqrt(8)
    assert (ends.high - ends.low) / 2 == pytest.approx(half, rel=0.07)


def test_the_error_of_the_noise_by_element_is_in_units_of_sigma_squared():
    rows = pd.DataFrame(
        {"element": ["H", "H", "C"], "true": [0.0, 0.1, 0.2], "predicted": [0.2, 0.1, 0.0], "conformation": [0, 0, 1]}
    )
    assert error_by_element(rows, 0.2).to_dict() == pytest.approx({"H": 0.5, "C": 1.0})
    assert errors_of_noise(rows, 0.2) == pytest.approx([0.5, 1.0])
