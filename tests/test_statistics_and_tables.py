"""The bootstrap's laws, the paper's own averages, and the shape of every table and figure."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from lib import comparison, examples, figures, tables
from lib.comparison import Arm
from lib.runs import Result
from lib.scales import SCALES, get_scale
from lib.statistics import Errors, compare

mpl.use("Agg")


def errors(seed, scale=1.0, molecules=40, each=10):
    """Errors of normal size ``scale``; the same molecules for every seed and scale."""
    rng = np.random.default_rng(seed)
    return Errors.of({"prediction": scale * rng.normal(size=molecules * each), "energy": np.zeros(molecules * each),
                      "molecule": np.repeat(np.arange(molecules), each)})  # fmt: skip


def test_metrics_are_the_usual_ones():
    found = Errors.of(
        {"prediction": np.array([1.0, -3.0, 5.0]), "energy": np.zeros(3), "molecule": np.array([5, 5, 9])}
    )
    assert found.score("rmse", np.ones((1, 10)))[0] == pytest.approx(np.sqrt(35 / 3))
    assert found.score("mae", np.ones((1, 10)))[0] == pytest.approx(3.0)
    assert found.score("mae", np.eye(10)[[5]])[0] == pytest.approx(2.0)


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_equal_arms_do_not_differ(metric):
    arm = [errors(k) for k in range(3)]
    scratch, pretrained, gain = compare(arm, arm, metric)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert scratch == pretrained


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_halved_errors_are_fifty_per_cent(metric):
    _, _, gain = compare([errors(k) for k in range(3)], [errors(k, 0.5) for k in range(3)], metric)
    assert gain.value == pytest.approx(50)
    assert gain.low == pytest.approx(50)  # paired: the same draws in both arms
    assert gain.high == pytest.approx(50)


def test_intervals_narrow_with_more_molecules_and_hold_the_truth():
    def width(molecules):
        found, _, _ = compare(*[[errors(k, molecules=molecules) for k in range(5)]] * 2, "rmse")
        assert found.low < 1 < found.high
        return found.high - found.low

    assert width(400) < 0.6 * width(40)


def test_the_same_errors_as_more_seeds_say_nothing_new():
    """Seeds share their test molecules, so repeating one seed does not narrow the interval."""
    one, many = (compare([errors(0)] * n, [errors(0)] * n, "mae")[0] for n in (1, 10))
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_molecules_stay_together():
    """Errors that are equal within a molecule leave as few independent numbers as there are molecules."""
    rng = np.random.default_rng(0)
    shared = np.repeat(rng.normal(size=40), 50)
    clustered = Errors.of({"prediction": shared, "energy": np.zeros(2000), "molecule": np.repeat(np.arange(40), 50)})
    single = Errors.of({"prediction": shared, "energy": np.zeros(2000), "molecule": np.arange(2000)})
    wide, narrow = (compare([e], [e], "mae")[0] for e in (clustered, single))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_arms_must_fit():
    with pytest.raises(ValueError, match="same seeds"):
        compare([errors(0)], [errors(0), errors(1)], "mae")
    with pytest.raises(ValueError, match="same seeds and test conformations"):
        compare([errors(0)], [errors(0, molecules=39)], "mae")


def test_paper_table2_gives_the_printed_averages():
    """Section 3.3: 21.5 and 21.2 % on ANI-1, 31.9 and 30.9 % on ANI-1x, up to the rounding of the printed errors."""
    gains = tables.paper_table2().query("pretrained == 'improvement'").groupby(["dataset", "metric"])["value"].mean()
    printed = {("ANI-1", "rmse"): 21.5, ("ANI-1", "mae"): 21.2, ("ANI-1x", "rmse"): 31.9, ("ANI-1x", "mae"): 30.9}
    for key, value in printed.items():
        assert gains[key] == pytest.approx(value, abs=0.15), key


@pytest.fixture
def arms(tmp_path):
    found = []
    for data in ("ani1", "ani1x"):
        for pretrained in (False, True):
            results = []
            for seed in (0, 1):
                folder = tmp_path / f"{data}-{pretrained}-{seed}"
                folder.mkdir()
                rng = np.random.default_rng(seed)
                prediction = rng.normal(size=90) * (0.7 if pretrained else 1.0)
                molecule = np.repeat(np.arange(9), 10)
                np.savez(folder / "predictions.npz", energy=np.zeros(90), molecule=molecule, prediction=prediction)
                about = {"steps": 3, "wall_seconds": 60.0, "config": {"model": "egnn"}}
                results.append(Result(str(seed), folder, {"test_r2": 0.5, "validation_rmse": 1.0}, about))
            found.append(Arm("egnn", data, pretrained, 1, 1e-3, False, tuple(results)))
    return found


def test_table2_rows(arms):
    table = tables.table2(SCALES["laptop"], arms)
    assert list(table.columns) == tables.COLUMNS
    assert len(table) == 12
    row = table.query("dataset == 'mini ANI-1x (GFN2-xTB)' and pretrained == 'improvement' and metric == 'mae'").iloc[0]
    assert row["value"] == pytest.approx(30)
    assert row["paper_value"] == pytest.approx(100 * (1 - 3.49 / 5.30))
    assert row["n_seeds"] == 2
    text = tables.beside_paper(table)
    assert list(text.index) == [("EGNN", "no"), ("EGNN", "yes"), ("EGNN", "improvement")]
    assert text.loc[("EGNN", "yes"), ("mini ANI-1 (GFN2-xTB)", "RMSE")].endswith("(1.66)")
    assert set(tables.table2(SCALES["paper"], arms)["dataset"]) == {"ANI-1", "ANI-1x"}


def test_control_rows_have_no_paper_value(arms):
    table = tables.table2(SCALES["laptop"], [replace(arm, longer=3) for arm in arms])
    assert set(table["item"]) == {"control, 3 times the steps"}
    assert table["paper_value"].isna().all()


def test_no_arms_make_an_empty_table():
    table = tables.table2(SCALES["laptop"], [])
    assert list(table.columns) == tables.COLUMNS
    assert tables.beside_paper(table).empty
    assert comparison.compare_arms(SCALES["smoke"], [], [0], 3) == []


def test_csv_has_the_same_bytes_for_the_same_numbers(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "FIGURES", tmp_path)
    first = tables.save_table(tables.table2(SCALES["laptop"], arms), "table2", "smoke").read_bytes()
    assert tables.save_table(tables.table2(SCALES["laptop"], arms), "table2", "smoke").read_bytes() == first
    assert len(pd.read_csv(tmp_path / "smoke" / "table2.csv")) == 12


def test_figures_are_drawn_with_units(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", tmp_path)
    table = tables.table2(SCALES["laptop"], arms)
    figures.set_style()
    control = tables.table2(SCALES["laptop"], [replace(arm, longer=3) for arm in arms[2:]])
    bars = figures.table2_bars([table, control])
    assert "kcal/mol" in bars.axes[0].get_ylabel()
    assert len(bars.axes) == 3
    assert all("GFN2-xTB" in ax.get_title() for ax in bars.axes)
    path = figures.save_figure(bars, "table2", "smoke")
    assert path.exists()
    assert path.with_suffix(".svg").exists()


def test_figure1(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "history.json").write_text('{"epoch": [1, 2], "validation_denoising_error": [0.9, 0.5]}')
    run = Result("k", Path(tmp_path), {"validation_rigid_part": 0.16}, {"config": {"model": "egnn"}})
    example = examples.NoisedExample(np.array([8, 1, 1]), *(rng.normal(size=(3, 3, 3))))
    figure = figures.figure1(example, [run], 0.2, "mini suite (GFN2-xTB)")
    assert figure.axes[2].get_ylabel() == "mean squared error / σ²"
    assert figure.axes[2].get_lines()[0].get_ydata().tolist() == [0.9, 0.5]


def test_learning_rate_is_chosen_on_validation_data(monkeypatch):
    """The candidate with the lowest validation RMSE, mean over seeds, for each arm on its own."""
    scale = replace(get_scale("smoke"), learning_rates=(1e-3, 3e-3, 1e-2))

    def fake(configs, *_):
        """Seed 5 alone would choose 1e-2 from scratch, both seeds 3e-3; test errors say the opposite."""
        out = []
        for c in configs:
            rate = c.training.learning_rate
            score = abs(rate - (1e-3 if c.pretrained else 3e-3)) * (-0.5 if rate == 1e-2 and c.seed == 5 else 1)
            out.append(Result(c.key(), None, {"validation_rmse": score, "test_rmse": -rate}, {"seed": c.seed}))
        return out

    monkeypatch.setattr(comparison, "run_all", fake)
    found = comparison.compare_arms(scale, comparison.grid(["egnn"], ["ani1"]), [5, 6])
    assert [arm.learning_rate for arm in found] == [3e-3, 1e-3]
    assert [arm.at_edge for arm in found] == [False, True]
    assert [r.about["seed"] for r in found[0].results] == [5, 6]
