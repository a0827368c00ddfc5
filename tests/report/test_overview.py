"""The data notebook's parts: counts, contacts, the ridge, figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import make_molecule

from lib.data.datasets import FAMILIES
from lib.data.readers.molecule import Molecule
from lib.data.splits import FINE_TUNING, make_split
from lib.data.store import ConformationStore
from lib.report import data_overview
from lib.report.figures import data, molecules
from lib.report.ridge import EDGES, distance_histograms, ridge_r2

SMALL = ["ani1", "iso17"]


def test_table1_counts_the_mini_suite():
    table = data_overview.table1("mini", SMALL).set_index(["dataset", "metric"])
    row = table.loc[("mini ANI-1 (GFN2-xTB)", "conformations")]
    assert (row["value"], row["paper_value"], row["source"]) == (41_362, 24_687_809, "counted")
    assert table.loc[("mini ISO17 (GFN2-xTB)", "most atoms"), "value"] == 19
    assert data_overview.available("mini") == list(FAMILIES)


def test_published_counts_stand_under_the_published_names():
    beside = data_overview.beside_published(data_overview.table1("mini", SMALL), "mini")
    assert beside.loc["conformations", ("counted here", "mini ANI-1 (GFN2-xTB)")] == 41_362
    assert beside.loc["conformations", ("published", "ANI-1")] == 24_687_809


def test_sampled_quantities():
    drawn = data_overview.sampled("mini", SMALL, 50)
    assert len(drawn) == 100
    assert drawn.loc[drawn["dataset"] == "mini ANI-1 (GFN2-xTB)", "force"].isna().all()
    assert (drawn.loc[drawn["dataset"] == "mini ISO17 (GFN2-xTB)", "force"] > 0).all()
    assert (drawn["energy_per_atom"] < 0).all()
    shares = data_overview.element_shares("mini", SMALL)
    np.testing.assert_allclose(shares.sum(axis=1), 100)
    assert shares.loc["mini ISO17 (GFN2-xTB)", 6] == pytest.approx(100 * 7 / 19)


def test_contacts_of_two_parts(tmp_path):
    """Two hydrogen molecules that are 3, 4, … Å apart."""
    gaps = np.linspace(3, 6, 7)
    positions = np.zeros((7, 4, 3), dtype=np.float32)
    positions[:, 1, 1] = positions[:, 3, 1] = 0.74
    positions[:, 2:, 0] = gaps[:, None]
    two = Molecule("two", np.ones(4, int), np.zeros(4, int), positions, np.linspace(-700, -690, 7), None, "GFN2-xTB")
    found = data_overview.contacts(ConformationStore.write([two], tmp_path / "two"))
    assert found["atoms"].tolist() == [2, 2]
    np.testing.assert_allclose(found[["smallest", "median", "largest"]], [[3, 4.5, 6]] * 2, atol=1e-6)


def test_one_molecule_has_no_contacts(tmp_path):
    methane = make_molecule("methane", [6, 1, 1, 1, 1], 3, 0)
    near = methane.positions * 0.2  # all bonded
    store = ConformationStore.write(
        [Molecule("m", methane.z, methane.charges, near, methane.energy, None, methane.level)], tmp_path / "one"
    )
    assert len(data_overview.contacts(store)) == 0


def test_histograms_do_not_see_motion_or_names():
    rng = np.random.default_rng(0)
    z, x = np.array([6, 1, 1, 8]), 2 * rng.normal(size=(3, 4, 3))
    order = np.array([0, 2, 1, 3])
    np.testing.assert_allclose(distance_histograms(z, x), distance_histograms(z[order], x[:, order] + 5.0))
    assert distance_histograms(z, x).shape == (3, 4 * (len(EDGES) - 1))  # H-H, C-H, C-O, H-O


def test_ridge_learns_a_bond_and_nothing_of_noise(tmp_path):
    rng = np.random.default_rng(0)
    length = rng.uniform(1.0, 3.0, 400)
    positions = np.zeros((400, 2, 3), dtype=np.float32)
    positions[:, 1, 0] = length
    for name, energy, low, high in (
        ("bond", -300 + 20 * length, 0.98, 1.0),
        ("noise", -300 + rng.normal(size=400), -1, 0.2),
    ):
        molecule = Molecule(name, np.array([1, 8]), np.zeros(2, int), positions, energy, None, "GFN2-xTB")
        store = ConformationStore.write([molecule], tmp_path / name)
        assert low < ridge_r2(store, make_split(store, 0, FINE_TUNING)) <= high


def test_ridge_takes_one_molecule(store):
    with pytest.raises(ValueError, match="holds 4"):
        ridge_r2(store, make_split(store, 0, FINE_TUNING))


def test_figures_of_the_data():
    drawn = data_overview.sampled("mini", SMALL, 50)
    figure = data.distributions(drawn)
    assert any(text.get_text() == "none" for text in figure.axes[2].texts)
    _, z, x = data_overview.typical("mini", "iso17")
    gallery = molecules.gallery([("ISO17", z, x)])
    assert [text.get_text() for text in gallery.legends[0].get_texts()] == ["H", "C", "O"]
    plt.close("all")
