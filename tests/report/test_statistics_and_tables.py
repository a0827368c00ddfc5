"""The bootstrap's laws, the paper's own averages, and the shape of every table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from lib.report import descriptions, tables
from lib.report.statistics import BLOCKS, Errors, average, compare, groups_of
from lib.runs.results import Result
from lib.study import arms as study_arms
from lib.study import rates as study_rates
from lib.study.arms import Arm
from lib.study.cells import Cell, Pair
from lib.study.matrix import pairs
from lib.study.scale import ByData
from lib.study.scales import SCALES, get_scale


def errors(seed, scale=1.0, molecules=40, each=10):
    """Errors of normal size ``scale``; the same molecules for every seed and scale."""
    rng = np.random.default_rng(seed)
    return Errors.of(np.repeat(np.arange(molecules), each), scale * rng.normal(size=molecules * each))


def test_metrics_are_the_usual_ones():
    found = Errors.of(np.array([5, 5, 9]), np.array([1.0, -3.0, 5.0]))
    assert found.score("rmse", np.ones((1, 10)))[0] == pytest.approx(np.sqrt(35 / 3))
    assert found.score("mae", np.ones((1, 10)))[0] == pytest.approx(3.0)
    assert found.score("mae", np.eye(10)[[5]])[0] == pytest.approx(2.0)
    weights = np.random.default_rng(0).integers(1, 4, (3, 10)).astype(float)
    for metric, sums in (("mae", found.absolute), ("rmse", found.squared)):
        own = weights[:, found.molecule]
        naive = (own * sums).sum(1) / (own * found.count).sum(1)
        np.testing.assert_allclose(found.score(metric, weights), np.sqrt(naive) if metric == "rmse" else naive)


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_equal_arms_do_not_differ(metric):
    arm = [errors(k) for k in range(3)]
    scratch, pretrained, gain = compare(arm, arm, metric).intervals()
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert scratch == pretrained


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_halved_errors_are_fifty_per_cent(metric):
    _, _, gain = compare([errors(k) for k in range(3)], [errors(k, 0.5) for k in range(3)], metric).intervals()
    assert gain.value == pytest.approx(50)
    assert gain.low == pytest.approx(50)  # paired: the same draws in both arms
    assert gain.high == pytest.approx(50)


def test_intervals_narrow_with_more_molecules_and_hold_the_truth():
    def width(molecules):
        found, _, _ = compare(*[[errors(k, molecules=molecules) for k in range(5)]] * 2, "rmse").intervals()
        assert found.low < 1 < found.high
        return found.high - found.low

    assert width(400) < 0.6 * width(40)


def test_the_same_errors_as_more_seeds_say_nothing_new():
    """Seeds share their test molecules, so repeating one seed does not narrow the interval."""
    one, many = (compare([errors(0)] * n, [errors(0)] * n, "mae").intervals()[0] for n in (1, 10))
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_hold_the_mean_over_all_seeds(seeds):
    """95 % of them, with seeds that differ and many molecules; a plain bootstrap over three seeds: 75 %."""
    rng, held, trials = np.random.default_rng(3), 0, 200
    for _ in range(trials):
        runs = [errors(k, 1 + 0.1 * rng.standard_normal(), molecules=100) for k in range(seeds)]
        found, _, _ = compare(runs, runs, "rmse").intervals()
        held += found.low <= 1 <= found.high
    assert 0.91 < held / trials < 0.99


@pytest.mark.parametrize("scales", [(1.0, 1.1), (1.0, 1.1, 0.8), (1.0, 1.2, 1.1, 0.9, 0.9)])
def test_seeds_alone_follow_students_t(scales):
    """Where molecules say nothing, for all have the same error, intervals are Student's, of one arm and of a gain."""
    scratch = [Errors.of(np.arange(20), np.full(20, s)) for s in scales]
    tuned = [Errors.of(np.arange(20), np.full(20, 0.5 * s**2)) for s in scales]  # log ratio: as log scratch
    found, _, gain = compare(scratch, tuned, "mae").intervals()
    half = t.ppf(0.975, len(scales) - 1) * np.std(np.log(scales), ddof=1) / np.sqrt(len(scales))
    assert np.log(found.high / found.low) == pytest.approx(2 * half, rel=0.1)
    left = 1 - np.array([gain.value, gain.low, gain.high]) / 100
    assert np.log(left[1] / left[2]) == pytest.approx(2 * half, rel=0.1)


def test_what_seeds_have_in_common_cancels_between_arms_and_the_rest_averages_out_over_models():
    hard = (1.0, 1.5, 0.7)  # a seed's split is hard for all

    def arm(scales):
        return [Errors.of(np.arange(20), np.full(20, s)) for s in scales]

    one = compare(arm(hard), arm([0.5 * s for s in hard]), "mae")
    assert one.intervals()[2].high == pytest.approx(one.intervals()[2].low)
    up, down = (compare(arm([1.0] * 3), arm(s), "mae") for s in ((0.5, 0.55, 0.5), (0.5, 0.45, 0.5)))
    alone, together = up.intervals()[2], average([up, down])
    assert together.high - together.low < 0.15 * (alone.high - alone.low)


@pytest.mark.parametrize("molecules", [5, 8, 20])
def test_intervals_hold_the_mean_over_few_molecules(molecules):
    """95 % of them; without widening 86 % of eight molecules."""
    rng, held, trials = np.random.default_rng(4), 0, 300
    for _ in range(trials):
        sizes = np.exp(0.5 * rng.standard_normal(molecules))  # the mean over all molecules: exp(1/8)
        run = Errors(np.arange(molecules), sizes**2, sizes, np.ones(molecules))
        found, _, _ = compare([run], [run], "mae").intervals()
        held += found.low <= np.exp(0.125) <= found.high
    assert 0.89 < held / trials < 0.99


def test_molecules_stay_together():
    """Errors that are equal within a molecule leave as few independent numbers as there are molecules."""
    rng = np.random.default_rng(0)
    shared = np.repeat(rng.normal(size=40), 50)
    clustered, single = Errors.of(np.repeat(np.arange(40), 50), shared), Errors.of(np.arange(2000), shared)
    wide, narrow = (compare([e], [e], "mae").intervals()[0] for e in (clustered, single))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_one_molecule_is_drawn_by_stretches_of_its_trajectory():
    index = np.arange(7, 1007)
    groups = groups_of(np.zeros(1000, dtype=int), index)
    assert (np.diff(groups) >= 0).all()
    assert np.bincount(groups).tolist() == [1000 // BLOCKS] * BLOCKS
    np.testing.assert_array_equal(groups_of(index % 3, index), index % 3)  # several molecules: themselves


def test_average_gain_counts_models_alike_and_has_a_narrower_interval():
    first = compare([errors(0)], [errors(1, 0.5)], "mae")
    second = compare([errors(2)], [errors(3, 0.9)], "mae")
    gains = [c.intervals()[2] for c in (first, second)]
    together = average([first, second])
    assert together.value == pytest.approx(np.mean([g.value for g in gains]))
    assert together.high - together.low < max(g.high - g.low for g in gains)


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
    """Two pairs of arms, on ANI-1 and on ANI-1x."""
    pairs_of_arms = []
    for data in ("ani1", "ani1x"):
        both = []
        for pretrained in (False, True):
            results = []
            for seed in (0, 1):
                folder = tmp_path / f"{data}-{pretrained}-{seed}"
                folder.mkdir()
                rng = np.random.default_rng(seed)
                prediction = rng.normal(size=90) * (0.7 if pretrained else 1.0)
                molecule = np.repeat(np.arange(9), 10)
                np.savez(
                    folder / "predictions.npz",
                    energy=np.zeros(90),
                    molecule=molecule,
                    prediction=prediction,
                    index=np.arange(90),
                    part=np.full(90, "test"),
                )
                about = about_run("energy", seed) | {"target": {"mean": 0.0, "std": 1.0, "per_type": [0.0] * 28}}
                metrics = {"test_r2": 0.5, "validation_rmse": 1.0, "test_rmse": 1.0 + seed, "test_mae": 0.5 + seed}
                results.append(Result(str(seed), folder, metrics, about))
            both.append(Arm(Cell("egnn", data, pretrained), 1e-3, False, tuple(results)))
        pairs_of_arms.append(Pair(*both))
    return pairs_of_arms


def about_run(task, seed):
    """What a run says of itself, as far as tables and figures read it."""
    config = {"task": task, "model": "egnn", "seed": seed, "settings": {}, "training": {"epochs": 1},
              "data": [{"reader": "ani1", "fingerprint": "f"}]}  # fmt: skip
    return {"steps": 3, "wall_seconds": 60.0, "config": config, "splits": {"mini/ani1": "s"}}


def changed(pair, **changes):
    """The pair as one of other cells."""
    return Pair(*(replace(arm, cell=replace(arm.cell, **changes)) for arm in pair))


def again(arms, **changes):
    """The pairs as those of other cells."""
    return [changed(pair, **changes) for pair in arms]


def with_results(pair, change):
    """The pair with each result changed."""
    return Pair(*(replace(arm, results=tuple(change(result) for result in arm.results)) for arm in pair))


def table2(arms, scale="laptop"):
    return tables.comparison_table(SCALES[scale], arms, "Table 2")


def test_table2_rows(arms):
    table = table2(arms)
    assert list(table.columns) == [*tables.COLUMNS, *tables.DETAILS]
    assert len(table) == 12
    row = table.query("dataset == 'mini ANI-1x (GFN2-xTB)' and pretrained == 'improvement' and metric == 'mae'").iloc[0]
    assert row["value"] == pytest.approx(30)
    assert row["paper_value"] == pytest.approx(100 * (1 - 3.49 / 5.30))
    assert row["n_seeds"] == 2
    assert row["evidence"] == "yes"
    text = tables.beside_paper(table)
    assert list(text.index) == [("EGNN", "no"), ("EGNN", "yes"), ("EGNN", "improvement")]
    assert text.loc[("EGNN", "yes"), ("mini ANI-1 (GFN2-xTB)", "RMSE")].endswith("(1.66)")
    assert set(table2(arms, "paper")["dataset"]) == {"ANI-1", "ANI-1x"}


def test_average_rows_stand_beside_the_printed_averages(arms):
    table = table2([*arms, *again(arms, model="schnet")])
    rows = table[table["model"] == "average"]
    assert len(rows) == 4  # two data sets, two metrics
    assert rows.query("dataset == 'mini ANI-1x (GFN2-xTB)' and metric == 'rmse'")["paper_value"].item() == 31.9
    assert rows["value"].to_numpy() == pytest.approx(30)


def test_where_nothing_is_learnt_there_is_no_evidence(arms):
    dull = [with_results(pair, lambda result: replace(result, metrics={"test_r2": 0.2})) for pair in arms]
    assert set(table2(dull)["evidence"]) == {"no"}
    assert set(table2([Pair(dull[0].scratch, arms[0].pretrained)])["evidence"]) == {"one arm"}


def test_single_seeds_are_marked(arms):
    single = [Pair(*(replace(arm, results=arm.results[:1]) for arm in pair)) for pair in arms]
    assert tables.beside_paper(table2(single)).map(lambda cell: "*" in cell).all(axis=None)
    assert not tables.beside_paper(table2(arms)).map(lambda cell: "*" in cell).any(axis=None)


def test_subsets_of_molecules(arms):
    """Errors of molecule 0 alone; a subset that no seed tests is left out."""
    chosen = {"first": np.array([0]), "none": np.array([77])}
    table = tables.comparison_table(SCALES["laptop"], arms, {"mae": "Figure 2d"}, molecules=chosen)
    assert set(table["subset"]) == {"first"}
    own = np.mean([np.abs(r.predictions()["prediction"][:10]).mean() for r in arms[0].scratch.results])
    assert table.query("pretrained == 'no'")["value"].iloc[0] == pytest.approx(own)


def test_evidence_of_a_subset_is_its_own(arms):
    """Errors of 1 kcal/mol explain the energies of molecule 1; those of molecule 0 are off by 10,000 in both arms."""
    for result in (r for arm in arms[0] for r in arm.results):
        found = result.predictions()
        off = found["prediction"] + 1e4 * (found["molecule"] == 0)
        np.savez(result.path / "predictions.npz", **found | {"prediction": off})
    chosen = {"off": np.array([0]), "learnt": np.array([1])}
    table = tables.comparison_table(SCALES["laptop"], arms[:1], {"mae": "Figure 2d"}, molecules=chosen)
    assert dict(table[["subset", "evidence"]].itertuples(index=False)) == {"off": "no", "learnt": "yes"}


def test_per_atom_divides_errors_and_not_improvements(arms):
    large = again(arms[:1], data="md22/Ac-Ala3-NHMe")
    whole, each = (
        tables.comparison_table(SCALES["laptop"], large, {"mae": "Figure 3"}, per_atom=p) for p in (False, True)
    )
    ratio = (whole["value"] / each["value"]).tolist()
    assert ratio == pytest.approx([42, 42, 1])
    assert each["unit"].tolist() == ["kcal/mol/atom", "kcal/mol/atom", "%"]
    assert set(each["system"]) == {"Ac-Ala3-NHMe"}


def test_control_rows_have_no_paper_value(arms):
    table = table2(again(arms, longer=3))
    assert set(table["item"]) == {"Table 2, 3 times the steps"}
    assert table["paper_value"].isna().all()
    matched = replace(arms[0], scratch=changed(arms[0], longer=8).scratch)
    both = table2([*again(arms[:1], longer=3), matched])
    assert set(both["item"]) == {"Table 2, 3 times the steps", "Table 2, scratch 8 times the steps"}
    assert "average" not in set(both["model"])  # two questions about one model


def test_no_arms_make_an_empty_table():
    table = table2([])
    assert list(table.columns) == [*tables.COLUMNS, *tables.DETAILS]
    assert study_arms.compare_arms(SCALES["smoke"], [], [0], 3) == []


def test_csv_has_the_same_bytes_for_the_same_numbers(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "FIGURES", tmp_path)
    first = tables.save_table(table2(arms), "table2", "smoke").read_bytes()
    assert tables.save_table(table2(arms), "table2", "smoke").read_bytes() == first
    numbers = pd.DataFrame({"value": [1 / 3, 2 / 3]}, dtype=object)  # as where an empty table was put beside it
    assert tables.save_table(numbers, "objects", "smoke").read_text(encoding="utf-8") == "value\n0.333333\n0.666667\n"
    assert len(pd.read_csv(tmp_path / "smoke" / "table2.csv")) == 12


def test_an_average_says_once_where_its_numbers_come_from():
    found = compare([errors(0)], [errors(0, 0.5)], "mae")
    facts = [{"source": s, "n_seeds": 2, "evidence": "yes"} for s in ("recorded and trained", "recorded", "trained")]
    assert tables._average_row([(f, found) for f in facts])["source"] == "recorded and trained"


def test_details_have_a_row_a_test_conformation_and_seed(arms):
    rows = descriptions.details(SCALES["laptop"], arms[1])
    assert len(rows) == 2 * 2 * 90
    assert set(rows["pretrained"]) == {"yes", "no"}


def test_learning_rate_is_chosen_on_validation_data(monkeypatch):
    """The candidate with the lowest validation RMSE at the first seed on ANI-1x, for each arm, serves ANI-1 too."""
    scale = get_scale("smoke")
    rates = ByData((1e-3, 3e-3, 1e-2))
    scale = replace(scale, finetuning=replace(scale.finetuning, rates=rates), seeds=(5, 6))
    done = {}

    def fake(configs, *_):
        """Test errors say the opposite of validation errors."""
        for c in configs:
            rate = c.training.learning_rate
            score = abs(rate - (1e-3 if c.pretrained else 3e-3))
            metrics = {"validation_rmse": score, "test_rmse": -rate}
            done[c.key()] = Result(c.key(), None, metrics, {"seed": c.seed, "data": c.data[0].name})
        return [done[c.key()] for c in configs]

    monkeypatch.setattr(study_arms, "run_all", fake)
    for module in (study_rates, descriptions):
        monkeypatch.setattr(module, "stored", lambda config: done.get(config.key()))
    (pair,) = study_arms.compare_arms(scale, pairs(["egnn"], ["ani1"]))
    assert [arm.learning_rate for arm in pair] == [3e-3, 1e-3]
    assert [arm.at_edge for arm in pair] == [False, True]
    assert [r.about["seed"] for r in pair.scratch.results] == [5, 6]
    scanned = {(r.about["data"], r.about["seed"]) for r in done.values() if "data" in r.about}
    assert ("mini/ani1x", 5) in scanned
    assert ("mini/ani1x", 6) not in scanned
    table = descriptions.scan_table(scale, pairs(["egnn"], ["ani1"]))
    assert len(table) == 6
    assert table[table["chosen"]].set_index("pretrained")["learning_rate"].to_dict() == {False: 3e-3, True: 1e-3}
    assert descriptions.scan_table(get_scale("smoke"), pairs(["egnn"], ["ani1"])).empty
