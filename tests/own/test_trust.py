"""The potentials of notebook 14: which there are, where they are recorded, and what is said of those that are not."""

import pandas as pd
import pytest

from lib.models import MODELS, PAPER_MODELS
from lib.own import trust
from lib.runs import results


def test_every_model_is_examined_and_the_papers_with_both_settings():
    names = trust.names("laptop")
    assert {model for model, _ in names} == set(MODELS)
    assert {model for model, settings in names if settings == trust.PAPER} == set(PAPER_MODELS)
    with pytest.raises(ValueError, match=r"scale with potentials to examine.*choose from"):
        trust.plan_of("huge")
    with pytest.raises(ValueError, match=r"kind = 'else': choose from"):
        trust.examine("smoke", ("schnet", trust.FIT), "else")


def test_settings_are_the_papers_and_those_for_dynamics():
    for name in trust.names("laptop"):
        config = trust.config_of("laptop", name)
        flags = {config.settings.atomwise, config.settings.repulsion, config.settings.smooth_cutoff}
        assert flags == {name[1] == trust.FIT}
        assert config.pretrained is None
        assert config.baseline == ("atoms" if name[1] == trust.FIT else "composition")


def test_records_are_read_and_what_lacks_one_is_left_out_and_named(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RECORDS", tmp_path)
    name = ("schnet", trust.FIT)
    assert trust.gather("laptop", trust.PAIRS).empty
    assert "SchNet, for dynamics: pairs" in trust.missing("laptop")
    assert "GFN2-xTB: trajectories" in trust.missing("laptop")
    path = trust.path_of("laptop", name, trust.PAIRS)
    path.parent.mkdir()
    pd.DataFrame({"pair": ["H-O"], "distance": [0.3], "energy": [9.0]}).to_csv(path, index=False)
    rows = trust.gather("laptop", trust.PAIRS)
    assert rows[["model", "settings", "steps", "energy"]].to_numpy().tolist() == [["SchNet", trust.FIT, 800, 9.0]]
    assert "SchNet, for dynamics: pairs" not in trust.missing("laptop")
    monkeypatch.setenv(results.IGNORE, "1")
    assert trust.gather("laptop", trust.PAIRS).empty
    assert trust.plan_of("laptop").measure


def test_a_record_is_what_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RECORDS", tmp_path)
    name = ("schnet", trust.FIT)
    path = trust.record("smoke", name, trust.PAIRS)
    measured = trust.examine("smoke", name, trust.PAIRS)
    read = trust.rows_of("smoke", name, trust.PAIRS, measure=False)
    assert read is not None
    pd.testing.assert_frame_equal(read, measured, rtol=1e-5)
    assert (path.parent / f"{trust.config_of('smoke', name).key()}.json.gz").exists()
