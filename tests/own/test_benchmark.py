"""Ways of training on test files: means over seeds, intervals, and files without forces."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.own import benchmark
from lib.own.benchmark import table
from lib.own.evaluation import ENERGY, FORCE, PER_ATOM, SHIFTED
from lib.own.pretrained import load_pretrained
from lib.paths import ROOT

ERRORS = {"a0": 1.0, "a1": 3.0, "a2": 5.0, "b0": 2.0}  # meV of each potential


@pytest.fixture
def known(monkeypatch):
    """Potentials that are off by `ERRORS`, ten times as much for forces; the file ``scan`` has none."""

    def comparison(potential, dataset):
        rows = {ENERGY: potential, SHIFTED: potential / 2, PER_ATOM: 0.0}
        rows |= {} if dataset == "scan" else {FORCE: 10 * potential}
        out = [("all", name, value) for name, value in rows.items()] + [("hot", ENERGY, 99.0)]
        return SimpleNamespace(table=lambda: pd.DataFrame(out, columns=["group", "quantity", "rmse (meV)"]))

    def loaded(name):
        return SimpleNamespace(calculator=lambda: SimpleNamespace(potential=ERRORS[name]))

    monkeypatch.setattr(benchmark, "compare", comparison)
    monkeypatch.setattr(benchmark, "load_pretrained", loaded)


def test_means_and_intervals_over_seeds(known):
    out = table({"pre-trained": ["a0", "a1", "a2"], "scratch": ["b0"]}, {"hot": "hot", "scan": "scan"})
    assert out[["test", "quantity", "arm"]].to_numpy().tolist() == [
        [test, quantity, arm]
        for test, quantities in (("hot", (ENERGY, SHIFTED, FORCE)), ("scan", (ENERGY, SHIFTED)))
        for quantity in quantities
        for arm in ("pre-trained", "scratch")
    ]
    energy = out.iloc[0]
    half = 4.302653 * 2.0 / np.sqrt(3)  # 97.5 % of Student's t with 2 degrees of freedom; the deviation is 2
    assert energy[["seeds", "rmse", "low", "high"]].tolist() == pytest.approx([3, 3.0, 3 - half, 3 + half])
    assert out.iloc[4]["rmse"] == pytest.approx(30.0)
    single = out.iloc[1]
    assert single["rmse"] == 2.0
    assert np.isnan(single["low"]) and np.isnan(single["high"])


def test_the_page_prints_the_table_whole(known, monkeypatch, capsys):
    rows = table({"pretrained": ["a0", "a1"], "scratch": ["b0"]}, {"test_MD_300K": "hot", "test_dihedral": "scan"})
    monkeypatch.setattr(benchmark, "table", lambda arms, tests: rows)
    page = (ROOT / "docs" / "own_molecules.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "lib.own.benchmark" in b)
    exec(block, {})
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == list(rows.columns)
    assert len(lines) == len(rows)
    assert not [line for line in lines if "..." in line]


def test_a_way_of_training_without_weights():
    with pytest.raises(ValueError, match="'scratch' has no weights: name a file for each seed"):
        table({"scratch": []}, {})


def test_layers_have_no_energies():
    with pytest.raises(ValueError, match="pre-trained layers, which predict noise and no energies"):
        table({"layers": [load_pretrained("egnn-laptop").weights[0].path]}, {})
