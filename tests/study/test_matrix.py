"""The matrix of cells: what notebooks ask for, at every scale, and how a wrong wish is refused in the first cell."""

from dataclasses import replace
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from lib import campaign
from lib.data.datasets import MD22_SYSTEMS, find, open_store
from lib.models import PAPER_MODELS
from lib.paths import ROOT
from lib.report import descriptions, subsets, tables
from lib.runs.config import Limits
from lib.runs.results import load_result, record
from lib.runs.runner import run
from lib.runs.selection import select, splits
from lib.study import arms as study_arms
from lib.study import matrix
from lib.study.cells import Cell, members
from lib.study.matrix import MATRIX
from lib.study.scale import ByData, Exceptions
from lib.study.scales import SCALES, get_scale
from lib.training.execution import QUIET


@pytest.mark.parametrize("name", SCALES)
def test_every_cell_of_every_scale_has_its_settings(name):
    scale = get_scale(name)
    optional = {"control": scale.exceptions.control_models, "Figure 3, longer": scale.exceptions.longer_systems}
    one_rate = replace(scale, finetuning=replace(scale.finetuning, rates=ByData((1e-3,))))
    for item, pairs_of in MATRIX.items():
        pairs = pairs_of(scale)
        assert pairs or not optional.get(item, True), item
        assert all(pair.pretrained.pretrained and not pair.scratch.pretrained for pair in pairs)
        for cell in members(pairs):
            for config in study_arms.cell_runs(one_rate, cell):
                assert config.share == cell.share
                assert (config.pretrained is not None) == cell.pretrained
                assert not cell.pretrained or config.pretrained.sigma == cell.sigma


@pytest.mark.parametrize("model", PAPER_MODELS)
def test_potentials_for_dynamics_start_from_the_layers_of_the_papers_read_out(model):
    """Energies are sums over atoms, with a repulsion; what is pre-trained for them is the same run as without."""
    scale = get_scale("laptop")
    fit = scale.for_dynamics()
    config = fit.finetune(Cell(model, "ani1x", True), 1e-3, 0)
    assert config.settings.atomwise
    assert config.settings.smooth_cutoff
    assert config.settings.repulsion
    assert config.baseline == "atoms"
    assert config.pretrained == scale.smooth().pretrain(model, 0) == fit.pretrain(model, 0)
    assert config.pretrained.settings.of_layers() == config.pretrained.settings == config.settings.of_layers()


def test_the_papers_matrix():
    cells = members(MATRIX["Figure 3"](get_scale("paper")))
    assert {(c.model, c.data) for c in cells} == {(m, f"md22/{s}") for m in PAPER_MODELS for s in MD22_SYSTEMS}
    assert {pair.pretrained.sigma for pair in MATRIX["Figure 5"](get_scale("paper"))} == set(matrix.SIGMAS) - {0.0}
    assert {c.share for c in members(MATRIX["Figure 4"](get_scale("paper")))} == set(matrix.SHARES)


def test_the_cells_of_md22_without_evidence_are_trained_for_longer_with_the_first_seed():
    longer_systems = {"egnn": ("DHA",), "schnet": ("AT-AT",)}
    scale = replace(get_scale("laptop"), exceptions=Exceptions(longer_systems=longer_systems))
    cells = members(matrix.longer_on_md22(scale, ["egnn", "torchmd_net"], ["DHA", "AT-AT"]))
    assert [(c.model, c.data, c.pretrained) for c in cells] == [("egnn", "md22/DHA", arm) for arm in (False, True)]
    for cell in cells:
        (longer,) = study_arms.cell_runs(scale, cell)
        once = study_arms.cell_runs(scale, replace(cell, longer=1))[0]
        assert longer.seed == scale.seeds[0] == once.seed
        assert longer.training == replace(
            once.training,
            epochs=matrix.CONTROL * once.training.epochs,
            validate_every=matrix.CONTROL * once.training.validate_every,
        )


def test_interrupted_runs_say_nothing_of_the_time_that_one_takes():
    runs = [SimpleNamespace(about={"wall_seconds": s, "resumed": s < 10}) for s in (5.0, 100.0, 120.0, 900.0)]
    assert descriptions.median_seconds(runs) == 120
    assert np.isnan(descriptions.median_seconds(runs[:1]))


def test_shares_keep_steps_or_epochs():
    """Smoke and laptop scale keep the number of steps, paper scale that of epochs."""
    for name, times in (("laptop", 20), ("paper", 1)):
        scale = get_scale(name)
        whole, part = (scale.finetune(Cell("egnn", "ani1x", False, share=s), 1e-3, 0).training for s in (1.0, 0.05))
        assert part.epochs == times * whole.epochs
        assert part.validate_every == times * whole.validate_every
        for done in (0.005, 0.02, 0.3, 0.8):  # the schedule is the same
            assert part.rate(done * part.epochs) == pytest.approx(whole.rate(done * whole.epochs)) or times == 1


def test_shares_are_nested_and_test_conformations_stay():
    scale = get_scale("smoke")
    found = {}
    for share in (0.2, 0.5, 1.0):
        config = scale.finetune(Cell("egnn", "ani1x", False, share=share), 1e-3, 0)
        found[share] = {part: s[0].index for part, s in select(config, splits(config)).items()}
    sizes = [len(found[s]["train"]) for s in found]
    assert sizes == [20, 50, 100]
    assert set(found[0.2]["train"]) < set(found[0.5]["train"]) < set(found[1.0]["train"])
    for part in ("validation", "test"):
        np.testing.assert_array_equal(found[0.2][part], found[1.0][part])


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_wrong_shares_are_refused(share):
    with pytest.raises(ValueError, match="share = "):
        get_scale("smoke").finetune(Cell("egnn", "ani1x", False, share=share), 1e-3, 0)
    with pytest.raises(ValueError, match="share = "):
        matrix.shares(get_scale("laptop"), "egnn", ["ani1x"], [share])


def test_curves_of_laptop_scale_start_where_sixty_conformations_are():
    """A share below is left out: fewer of one system say nothing."""
    scale = get_scale("laptop")
    drawn = {(c.data, c.share) for c in members(MATRIX["Figure 4"](scale))}
    for data in matrix.EFFICIENCY_DATA:
        config = scale.finetune(Cell("egnn", data, False), 1e-3, 0)
        whole = len(select(config, splits(config))["train"][0].index)
        if data.startswith("md22"):
            assert {share for name, share in drawn if name == data} == {s for s in matrix.SHARES if s * whole >= 60}
        else:  # many molecules: fifty conformations are fifty molecules
            assert {share for name, share in drawn if name == data} == set(matrix.SHARES)


def test_controls_give_both_arms_more_steps_and_then_training_from_scratch_alone():
    steps = [
        (c.pretrained, c.longer)
        for c in members(matrix.controls(get_scale("laptop"), ["egnn", "se3_transformer"], ["ani1x"]))
    ]
    assert steps == [(False, 3), (True, 3), (False, 8), (True, 1)]  # the SE(3)-Transformer has none there
    for cell in members(matrix.controls(get_scale("laptop"), ["egnn"], ["ani1x"])):
        (config,) = study_arms.cell_runs(get_scale("laptop"), cell, [0])
        assert config.training.epochs == 32 * cell.longer


def test_iso17_has_its_published_split():
    """Training knows the isomers of test_known and none of test; the sets are those of the files."""
    config = replace(get_scale("laptop").finetune(Cell("egnn", "iso17", False), 1e-3, 0), limits=Limits())
    (selections,) = (select(config, splits(config)),)
    store = open_store(find("mini/iso17"))
    names = {part: {store.names[m] for m in store.molecule_of(s[0].index)} for part, s in selections.items()}
    assert all(n.startswith("reference/") for part in ("train", "validation") for n in names[part])
    assert all(n.startswith("test_other/") for n in names["test"])
    assert all(n.startswith("test_within/") for n in names["test_known"])
    assert not set(selections["train"][0].index) & set(selections["validation"][0].index)


def test_both_questions_of_iso17_reach_the_table(tmp_path, monkeypatch):
    scale = get_scale("smoke")
    arms = study_arms.compare_arms(scale, matrix.pairs(["schnet"], ["iso17"]), [0], workers=1)
    result = arms[0].scratch.results[0]
    store = open_store(find("mini/iso17"))
    for part, prefix in (("test", "test_other/"), ("test_known", "test_within/")):
        rows = result.test_errors(part)
        assert all(store.names[m].startswith(prefix) for m in rows["molecule"])
        assert result.metrics[f"{part}_mae"] == pytest.approx(np.abs(rows["error"]).mean())
        table = tables.comparison_table(scale, arms, {"mae": "Figure 2b"}, part=part, subset=part)
        assert table["value"].iloc[0] == pytest.approx(result.metrics[f"{part}_mae"])
    with pytest.raises(ValueError, match="no test part 'test_elsewhere'"):
        result.test_errors("test_elsewhere")
    monkeypatch.setattr("lib.runs.results.RECORDS", tmp_path)
    recorded = replace(load_result(result.path), path=record(result, "here"), recorded=True)
    for part in ("test", "test_known"):
        np.testing.assert_allclose(recorded.test_errors(part)["error"], result.test_errors(part)["error"], rtol=1e-3)
        np.testing.assert_array_equal(recorded.test_errors(part)["index"], result.test_errors(part)["index"])


def test_no_pretraining_of_another_seed_on_the_same_data():
    scale = get_scale("smoke")
    config = scale.finetune(Cell("egnn", "ani1x", True), 1e-3, 0)
    with pytest.raises(ValueError, match="has seen test conformations"):
        replace(config, seed=1)
    other = scale.finetune(Cell("egnn", "iso17", True), 1e-3, 0)
    assert replace(other, seed=1).pretrained.seed == 0  # other data: nothing to have seen
    released = scale.finetune(Cell("egnn", "ani1x", True), 1e-3, 0, strict_split=False)
    assert not released.pretrained.strict_split


def test_subsets_of_spice():
    store = open_store(find("mini/spice"))
    own, kinds = subsets.spice_subsets("mini"), subsets.kinds_of_atoms(store)
    for groups in (own, kinds):
        together = np.sort(np.concatenate(list(groups.values())))
        np.testing.assert_array_equal(together, np.arange(len(store.names)))
    assert {"Dipeptides", "Ion Pairs", "Solvated Amino Acids"} <= set(own)
    names = {kind: {store.names[m] for m in chosen} for kind, chosen in kinds.items()}
    assert "C=O.CI" in names["other elements, no charges"]
    assert "CC(=O)[O-].C[NH3+]" in names["charged atoms"]  # neutral as a whole


def test_a_cell_is_trained_once_for_all_items():
    shared = Cell("egnn", "ani1x", True)
    for item in ("Table 2", "Figure 4"):
        assert shared in members(MATRIX[item](get_scale("smoke")))
    keys = [config.key() for configs in campaign.scale_runs("smoke").values() for config in configs]
    assert len(keys) == len(set(keys))
    assert set(keys) == {config.key() for configs in campaign.items_of("smoke").values() for config in configs}


def test_a_run_of_one_share_is_not_the_other(tmp_path):
    scale = get_scale("smoke")
    keys = {scale.finetune(Cell("egnn", "ani1x", False, share=s), 1e-3, 0).key() for s in (0.5, 1.0)}
    assert len(keys) == 2
    config = scale.finetune(Cell("schnet", "ani1x", False, share=0.05), 3e-3, 0)
    assert run(config, QUIET).about["conformations"]["train"] == 5


WRONG = [
    ("01_pretraining", 'models = ["egn"]', "se3_transformer"),
    ("02_ani1_and_ani1x", 'data = ["ani7"]', "mini/ani1x"),
    ("02_ani1_and_ani1x", 'scale = "huge"', "laptop"),
    ("03_iso17", 'models = ["egn"]', "se3_transformer"),
    ("04_spice", "models = []", "name at least one"),
    ("05_md22", 'systems = ["DNA"]', "buckyball-catcher"),
    ("06_data_efficiency", "shares = [0]", "above 0 and at most 1"),
    ("06_data_efficiency", 'data = ["md22/DNA"]', "mini/md22/DHA"),
    ("07_choice_of_sigma", "sigmas = [-0.1]", "give a number from 0.0001 to 10 Å"),
    ("07_choice_of_sigma", "sigmas = [0]", "above 0"),
    ("08_settings_and_cost", 'models = ["egn"]', "se3_transformer"),
    ("09_what_was_reproduced", 'scale = "huge"', "laptop"),
]


@pytest.mark.parametrize(("name", "wrong", "word"), WRONG)
def test_a_wrong_parameter_fails_in_the_first_cells_with_the_choices(name, wrong, word):
    """Before anything trains: at the latest in the cell that shows the grid."""
    cells = [c.source for c in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells if c.cell_type == "code"]
    space: dict = {}
    exec(cells[0] + "\n" + wrong, space)
    with pytest.raises(ValueError, match=word):
        for cell in cells[1:3]:
            exec(cell, space)
