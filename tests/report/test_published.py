"""Table 2 on published data beside the mini suite's, and the two levels of theory beside each other."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib.chemistry import xtb
from lib.mini_suite import published as computed
from lib.paths import ROOT
from lib.report import claims, figures, levels, published
from lib.report.evidence import OF_TRIALS
from lib.report.verdicts import SIGNS
from lib.study.published import trials_beside
from lib.study.scales import get_scale
from lib.units import HARTREE

mpl.use("Agg")


def row(level, arm, value, sign, model="EGNN", n_seeds=3, metric="mae", compared_with="scratch"):
    return {
        "dataset": "ANI-1x", "labels": "800 or 1,000", "model": model, "level": level, "arm": arm, "metric": metric,
        "compared_with": compared_with, "value": value, "low": value - 5, "high": value + 5, "sign": sign,
        "n_seeds": n_seeds,
    }  # fmt: skip


@pytest.fixture
def table():
    xtb_start, *dft = [start for _, start in published.STARTS_BY_LEVEL]
    return pd.DataFrame([
        row("GFN2-xTB", xtb_start, 50, "certain"), row("ωB97X/6-31G(d)", dft[0], -20, "against"),
        row("ωB97X/6-31G(d)", dft[1], 40, "certain"),
        row("GFN2-xTB", xtb_start, 20, "certain", "TorchMD-Net"),
        row("ωB97X/6-31G(d)", dft[0], 10, "likely", "TorchMD-Net"),
        row("GFN2-xTB", xtb_start, 5, "likely", "SchNet"), row("ωB97X/6-31G(d)", dft[0], 1, "one seed", "SchNet", 1),
        row("GFN2-xTB", xtb_start, 30, "certain", "SE(3)-Transformer"),
        row("ωB97X/6-31G(d)", dft[0], 3, "certain", "SchNet", metric="rmse"),
    ])  # fmt: skip


def test_levels_stand_side_by_side_model_by_model(table):
    shown = published.side_by_side(table)
    assert list(shown.index.get_level_values("model")) == ["EGNN", "TorchMD-Net", "SchNet"]  # the fourth has no DFT
    assert list(shown["verdict reversed"]) == ["yes", "no", "open"]
    egnn = shown.iloc[0]
    assert egnn["GFN2-xTB, mini suite's geometries"] == "50 % [45, 55], certain"
    assert egnn["ωB97X/6-31G(d), published geometries"] == "-20 % [-25, -15], against"
    assert egnn["ωB97X/6-31G(d), mini suite's geometries"] == "40 % [35, 45], certain"
    assert shown.iloc[2]["ωB97X/6-31G(d), published geometries"] == "1 % [-4, 6]*, one seed"


def test_the_finding_names_each_case_once(table):
    text = published.finding(table)
    assert "that the level of theory reverses: EGNN on ANI-1x (800 or 1,000 labels); that point the same way" in text
    assert "certain or likely, at both: TorchMD-Net" in text
    assert text.endswith("at one of the levels at least: SchNet on ANI-1x (800 or 1,000 labels).")
    assert published.finding(table[table["level"] == "GFN2-xTB"]) == published.NO_RUNS


@pytest.mark.slow  # it converts the mini suite first
def test_the_table_has_the_mini_suites_rows_where_nothing_is_recorded_on_published_data(monkeypatch):
    monkeypatch.setattr(published, "arms_of", lambda *_: {})
    table = published.table2_published(["schnet"])
    assert set(table["level"]) == {"GFN2-xTB"}
    assert table["value"].dtype == float
    assert set(zip(table["dataset"], table["labels"], strict=True)) >= {("ANI-1x", "800 or 1,000"), ("ANI-1", "1,000")}
    recorded = pd.read_csv(ROOT / "figures" / "laptop" / "table2.csv").query("model == 'SchNet' and metric == 'mae'")
    assert set(published.gains(table)["value"].round(3)) >= set(
        recorded.query("pretrained == 'improvement'")["value"].round(3)
    )
    monkeypatch.setattr(published, "available_arms", lambda *_: [])
    assert published.finding(published.table2_published(["schnet"])) == published.NO_RUNS


def test_a_verdict_reversed_where_both_levels_decide_and_contradict_each_other():
    decided = {"certain": 1, "likely": 1, "unlikely": -1, "against": -1}
    for first in [*SIGNS, ""]:
        for second in [*SIGNS, ""]:
            product = decided.get(first, 0) * decided.get(second, 0)
            assert published.verdict_reversed(first, second) == {1: "no", -1: "yes", 0: "open"}[product]


@pytest.fixture
def energies():
    """Two molecules, xtb off by 1 and -1 kcal/mol, and a conformation that did not converge."""
    dft = np.array([0.0, 10.0, 20.0, 100.0, 130.0, 5.0])
    xtb_energies = dft + np.array([1.0, 1.0, 1.0, -1.0, -1.0, np.nan])
    return pd.DataFrame({"dataset": "A", "molecule": list("aaabbb"), "atoms": 3, "dft": dft, "xtb": xtb_energies})


def test_agreement_of_two_levels(energies):
    whole, inner = levels.agreement(energies).to_dict("records")
    assert (whole["conformations"], whole["failed"], whole["within"]) == (5, 1, "no")
    assert whole["rmse"] == pytest.approx(1)
    assert whole["spread"] == pytest.approx(np.std([0, 10, 20, 100, 130]))
    assert inner["rmse"] == pytest.approx(0)
    assert inner["correlation"] == pytest.approx(1)
    single = energies.assign(molecule=["a", "b", "c", "d", "d", "e"])
    assert levels.agreement(single).iloc[1]["conformations"] == 2


def test_the_committed_energies_are_those_of_3000_conformations_and_hold_no_energy_of_the_file():
    table = levels.energies_at_both_levels()
    assert table.groupby("dataset").size().to_dict() == {"part of ANI-1 (ωB97X)": 2000, "part of ANI-1x (ωB97X)": 1000}
    assert table[["dft", "xtb"]].abs().max().max() < 400  # relative ones: an atom alone has thousands of kcal/mol
    assert (levels.agreement(table)["correlation"] > 0.9).all()
    words = levels.in_words(levels.agreement(table))
    assert "part of ANI-1 (ωB97X), 2,000 conformations: r = 0.980, RMSE 7.4 kcal/mol" in words


def test_both_levels_are_drawn_point_by_point(energies):
    figure = figures.two_levels(energies, levels.agreement(energies))
    (ax,) = figure.axes
    points, diagonal = ax.lines
    assert np.array_equal(points.get_xdata(), energies["dft"])
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert "RMSE 1.0" in ax.texts[0].get_text()
    plt.close(figure)


def test_energies_that_the_formula_alone_tells_are_nothing_beyond_composition():
    rng = np.random.default_rng(0)
    compositions = np.zeros((20, 28), dtype=np.int64)
    compositions[:, [3, 10]] = rng.integers(1, 9, (20, 2))
    linear = compositions[:, 3] * -38.0 + compositions[:, 10] * -0.5
    np.testing.assert_allclose(computed.beyond_composition(linear, compositions), 0, atol=1e-10)
    geometry = rng.normal(size=20)
    both = computed.beyond_composition(linear + geometry, compositions)
    np.testing.assert_allclose(both, computed.beyond_composition(geometry, compositions), atol=1e-10)


def test_a_conformation_that_does_not_converge_has_no_energy_and_takes_no_part(store, monkeypatch):
    def single_point(numbers, positions):
        if len(numbers) == 3 and numbers[0] == 8:
            raise RuntimeError("no convergence")
        return xtb.Label(-float(numbers.sum()), positions)

    monkeypatch.setattr(computed, "single_point", single_point)
    index = np.array([0, 25, 26, 50, 70])
    assert list(np.isnan(computed.xtb_energies(store, index))) == [True, False, False, False, False]
    table = computed.compare_levels(store, index)
    assert table.loc[0, ["dft", "xtb"]].isna().all()
    np.testing.assert_allclose(table["xtb"][1:].astype(float), 0, atol=1e-6 * HARTREE)  # linear in the elements


def test_claims_on_published_data_name_it_and_ask_for_trials_that_exist():
    own = [c for c in claims.load_claims() if any(item.startswith("Published") for item in c.select["item"])]
    assert len(own) == 4
    for claim in own:
        assert not claim.of_paper  # another regime than the paper's
        assert "ublished" in claim.statement
        assert set(claim.select["subset"]) <= {s for item in claim.select["item"] for s in OF_TRIALS[item][1]}


def test_published_trials_stand_beside_networks_of_their_sizes_alone():
    names = [t.name for t in trials_beside(get_scale("laptop"), ["ani1x"])]
    assert len(names) == 4 and all("part of ANI-1x (ωB97X), 800 labels" in name for name in names)
    assert trials_beside(get_scale("smoke"), ["ani1x"]) == trials_beside(get_scale("wide"), ["ani1x"]) == []
