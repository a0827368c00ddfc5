"""Notebooks from outside: plain papermill, and nbval turning red when a compared output is not what comes out.

Notebook 09 serves, which trains nothing; `make test` runs all of them under nbval, and a browser opens one.
"""

import os
import subprocess
import sys

import nbformat
import pandas as pd
import pytest

from lib.paths import ROOT
from lib.report.claims import load_claims
from lib.report.verdicts import UNTESTED

LEDGER = ROOT / "notebooks" / "09_what_was_reproduced.ipynb"


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
    wrong = python(tmp_path, "papermill", LEDGER, out, "-p", "scale", "huge", "--no-progress-bar")
    assert wrong.returncode != 0
    assert "choose from ['laptop', 'paper', 'smoke', 'wide']" in wrong.stderr


@pytest.mark.parametrize("tampered", [False, True])
def test_nbval_compares_outputs(tmp_path, tampered):
    notebook = nbformat.read(LEDGER, 4)
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and c.outputs]
    if tampered:
        (output,) = cell.outputs
        output.text = output.text.replace("SchNet on ANI-1x (38 %)", "EGNN on ANI-1x (38 %)")
        assert "EGNN on ANI-1x (38 %)" in output.text
    nbformat.write(notebook, tmp_path / "copy.ipynb")
    done = python(tmp_path, "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "copy.ipynb")
    assert (done.returncode != 0) == tampered, done.stdout[-2000:]
    assert ("EGNN on ANI-1x (38 %)" in done.stdout) == tampered
