"""Notebooks from outside: plain papermill, nbval turning red when a compared output is not what comes out, findings.

Notebook 09 serves for the first two, since it trains nothing; `make test` runs all notebooks under nbval, and a browser
opens one.
"""

import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib.errors import DataError
from lib.paths import ROOT
from lib.report import label_counts, levels, prose, published, soundness_in_words
from lib.report.claims import load_claims
from lib.report.verdicts import UNTESTED
from lib.study.scale import SIGMA

LEDGER = ROOT / "notebooks" / "09_what_was_reproduced.ipynb"
TEACHING = sorted(p for each in ("0[1-7]", "1[0-4]") for p in (ROOT / "notebooks").glob(f"{each}_*.ipynb"))


def python(folder, *arguments):
    """``python -m ...`` with its figures and cache in ``folder``."""
    places = {"DENOISING_FIGURES": str(folder / "figures"), "DENOISING_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=os.environ | places, capture_output=True, text=True, check=False)


def test_plain_papermill(tmp_path):
    out = tmp_path / "out.ipynb"
    done = python(tmp_path, "papermill", LEDGER, out, "-p", "scale", "smoke", "--no-progress-bar")
    assert done.returncode == 0, done.stderr[-2000:]
    ledger = pd.read_csv(tmp_path / "figures" / "smoke" / "claims.csv")
    assert len(ledger) == len(load_claims())
    assert set(ledger["sign"]) == {UNTESTED}  # no runs are there
    assert all((tmp_path / "figures" / "smoke" / f"claims.{kind}").exists() for kind in ("png", "svg"))


def test_papermill_hands_nonsense_to_the_check_and_nothing_is_trained(tmp_path):
    notebook = ROOT / "notebooks" / "10_forces.ipynb"
    done = python(tmp_path, "papermill", notebook, tmp_path / "out.ipynb", "-y", "seeds: [0, 0]", "--no-progress-bar")
    assert done.returncode != 0
    assert done.stderr.rstrip().splitlines()[-1].startswith("ValueError: seeds = [0, 0]: ")
    assert not (tmp_path / "cache").exists()


def test_nbval_compares_outputs(tmp_path):
    """With one output changed it fails and shows what comes out; that the true one passes, `make test` sees."""
    notebook = nbformat.read(LEDGER, 4)
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and c.outputs]
    (output,) = cell.outputs
    output.text = output.text.replace("SchNet on ANI-1x (38 %)", "EGNN on ANI-1x (38 %)")
    assert "EGNN on ANI-1x (38 %)" in output.text
    nbformat.write(notebook, tmp_path / "copy.ipynb")
    done = python(tmp_path, "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "copy.ipynb")
    assert done.returncode == 1, done.stdout[-2000:]
    assert "1 failed" in done.stdout
    assert "EGNN on ANI-1x (38 %)" in done.stdout


def findings_cells(path):
    """The cells of the notebook at ``path`` that tell its findings, one at least."""
    cells = [c for c in nbformat.read(path, 4).cells if "findings" in c.metadata.get("tags", [])]
    assert cells
    return cells


def told(cell, scale):
    """The Markdown of a findings cell, run by itself: it may read nothing but the tables of ``scale``."""
    names = {
        "scale": scale,
        "prose": prose,
        "np": np,
        "pd": pd,
        "SIGMA": SIGMA,
        "published": published,
        "label_counts": label_counts,
        "levels": levels,
        "words": soundness_in_words,
        "stem": "own",
    }
    *body, last = re.split(r"\n(?=prose\.tell)", cell.source)
    exec("\n".join(body), names)
    return eval(last, names).data


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_findings_come_from_the_tables_beside_them(path, monkeypatch):
    """The executed copy says what the tables of laptop scale say: a stale sentence is refused."""
    monkeypatch.setattr(prose, "FIGURES", ROOT / "figures")
    copies = findings_cells(ROOT / "figures" / "laptop" / path.name)
    for cell, copy in zip(findings_cells(path), copies, strict=True):
        text = told(cell, "laptop")
        assert re.search(r"\d", text)
        assert not re.search(r"\bnan\b", text)
        (output,) = copy.outputs
        assert output.data["text/markdown"] == text


def test_findings_follow_their_table(tmp_path, monkeypatch):
    """Another number in the table is another number in the sentence; no table is an error that names it."""
    monkeypatch.setattr(prose, "FIGURES", tmp_path)
    (cell,) = findings_cells(next(path for path in TEACHING if path.stem.startswith("03")))
    with pytest.raises(DataError, match=r"figure2ab.csv.*run the cell that saves it"):
        told(cell, "laptop")
    (tmp_path / "laptop").mkdir()
    recorded = (ROOT / "figures" / "laptop" / "figure2ab.csv").read_text()
    (tmp_path / "laptop" / "figure2ab.csv").write_text(recorded)
    before = told(cell, "laptop")
    table = pd.read_csv(tmp_path / "laptop" / "figure2ab.csv", keep_default_na=False)
    chosen = (table["model"] == "EGNN") & (table["pretrained"] == "improvement") & (table["metric"] == "mae")
    table.loc[chosen, ["value", "low", "high"]] = [77.0, -1.0, 99.0]
    table.to_csv(tmp_path / "laptop" / "figure2ab.csv", index=False)
    after = told(cell, "laptop")
    assert "EGNN 77 % [−1, 99]" in after
    assert "EGNN 77" not in before
    assert "Certain for SE(3)-Transformer, EGNN" in before
    assert "Certain for SE(3)-Transformer and TorchMD-Net" in after


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_three_questions_have_three_answers(path):
    (cell,) = [c for c in nbformat.read(path, 4).cells if "### Three questions" in c.source]
    questions = cell.source.partition("### Three questions")[2]
    answers = ROOT / "notebooks" / "answers" / f"{path.stem[:2]}.md"
    assert f"answers/{answers.name}" in questions
    for text in (questions, answers.read_text()):
        assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]


VISIBLE = {  # what a reader must see in torch, by notebook: the one thing that it teaches
    "01": ("torch.randn(", "loss.backward()", "optimizer.step()", "torch.linalg.qr("),
    "02": ("torch.equal(", "loss.backward()", "optimizer.step()"),
    "03": ('store.gather(chosen["train"]', "loss.backward()", "optimizer.step()", "store.molecule_of("),
    "04": ("torch.manual_seed(source.seed)", "type_embedding.weight"),
    "05": ("torch.bincount(", "network(batch"),
    "06": ("subsample(train, round(share", "loss.backward()", "optimizer.step()"),
    "07": ("torch.randn(", "eps = size * xi", "eps.square().sum()"),
    "08": ("p.numel()", "loss.backward()", "time.perf_counter()"),
    "10": ("torch.autograd.grad(", "weight * of_forces.square().mean()", "loss.backward()", "optimizer.step()"),
}


@pytest.mark.parametrize("number", VISIBLE)
def test_the_method_is_visible_in_torch(number):
    """Torch is imported and what the notebook teaches is written out in it, in the executed copy that people read."""
    (path,) = (ROOT / "figures" / "laptop").glob(f"{number}_*.ipynb")
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    code = "\n".join(cell.source for cell in cells)
    assert re.search(r"^import torch$", code, re.MULTILINE)
    assert not [step for step in VISIBLE[number] if step not in code]
    teaching = [cell.source for cell in cells if "teaching" in cell.metadata.get("tags", [])]
    assert any("torch." in source for source in teaching)


EXECUTED = sorted((ROOT / "figures" / "laptop").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("path", EXECUTED, ids=lambda p: p.stem)
def test_executed_copies_are_those_of_the_sources(path):
    """What papermill ran and people read has the cells of the notebook, its own parameters aside, and no dead bar."""
    source, executed = nbformat.read(ROOT / "notebooks" / path.name, 4), nbformat.read(path, 4)
    injected = [cell for cell in executed.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert len(injected) == 1
    ours = [(cell.cell_type, cell.source) for cell in executed.cells if cell not in injected]
    assert ours == [(cell.cell_type, cell.source) for cell in source.cells]
    assert "0%|" not in path.read_text(encoding="utf-8")
