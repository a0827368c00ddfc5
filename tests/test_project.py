"""The house: dependencies in one place, notebooks as agreed, the command line, and the rules a reader can check."""

import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace

import nbformat
import pytest
import yaml
from conftest import make_molecule, sample, write_ani1
from packaging.requirements import Requirement

from lib.cli.main import main
from lib.models import MODELS
from lib.paths import DATA, ROOT
from lib.report import settings_tables
from lib.study.scales import SCALES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = sorted((ROOT / "lib").rglob("*.py"))


def locked():
    """Exact versions by name, from the lock file."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {name: version.split(";")[0].strip() for name, _, version in (line.partition("==") for line in lines)}


def dependencies():
    """All requirements of pyproject.toml, extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [Requirement(line) for line in [*project["dependencies"], *itertools.chain(*extras.values())]]


def test_environment_yml_installs_the_locked_versions():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in conda if isinstance(entry, dict)]
    assert pip[0] == "--constraint requirements.lock" and pip[-1] == "--editable .[notebooks,dev]"
    assert {"jupyterlab", "papermill", "torch", "torch-geometric", "torchmd-net", "seaborn", "h5py", "nbval"} <= set(
        pip
    )
    assert set(pip[1:-1]) <= {requirement.name for requirement in dependencies()}
    assert "python=3.11" in conda


def test_the_lock_has_one_version_of_every_dependency_within_its_range():
    for requirement in dependencies():
        assert locked()[requirement.name] in requirement.specifier, requirement
    assert locked()["torch"] == "2.13.0"
    assert not re.search(r"https?:|file:|index", (ROOT / "requirements.lock").read_text())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def cells(self, path, kind="code"):
        return [c for c in nbformat.read(path, 4).cells if c.cell_type == kind]

    def test_outputs_only_where_they_are_compared(self, path):
        for cell in self.cells(path):
            compared = cell.source.startswith("# NBVAL_CHECK_OUTPUT")
            assert bool(cell.outputs) == compared, cell.source[:60]
            assert compared == ("keep_output" in cell.metadata.get("tags", []))

    def test_parameters(self, path):
        cell = self.cells(path)[0]
        assert "parameters" in cell.metadata.tags
        lines = cell.source.splitlines()
        assert lines[0].startswith('scale = "smoke"')
        assert len(lines) <= 12
        assert all(re.match(r"\w+ = .+  # .+", line) for line in lines)

    def test_cells_are_short_and_plain(self, path):
        for cell in self.cells(path):
            logic = [x for x in cell.source.splitlines() if x.strip() and not x.startswith(("import", "from", "#"))]
            tags = {"parameters": 12, "teaching": 20, "findings": 20}  # a loop or prose that is to be read as a whole
            assert len(logic) <= max([tags.get(tag, 0) for tag in cell.metadata.get("tags", [])] + [10]), cell.source
            assert not re.search(r"^\s*(def|class) ", cell.source, re.MULTILINE)

    def test_prose_before_every_code_cell(self, path):
        kinds = [c.cell_type for c in nbformat.read(path, 4).cells]
        assert kinds[0] == "markdown"
        assert all(kinds[k - 1] == "markdown" for k, kind in enumerate(kinds) if kind == "code")

    def test_small(self, path):
        assert path.stat().st_size < 50_000


def test_papermill_parameters_exist_for_every_scale():
    for name in SCALES:
        values = yaml.safe_load((ROOT / "notebooks" / "params" / f"{name}.yml").read_text())
        assert values == {"scale": name}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_rules(path):
    text = path.read_text()
    assert text.startswith('"""'), "a module begins with its docstring"
    assert len(text.splitlines()) <= 350
    assert not re.search(r"(?<![\w.])eval\(|import \*|\.\./", text)
    assert not re.search(r"(==|!=) *[\"'](egnn|schnet|torchmd_net|se3_transformer)[\"']", text)


IMPORT_ALL = """
import importlib, os, pkgutil, random, sys
import numpy, rich.default_styles, torch  # rich draws random numbers for its styles when it is imported
before = (set(os.listdir()), random.getstate(), numpy.random.get_state()[1].tolist(),
          torch.random.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype())
import lib
assert not [name for name in sys.modules if name.startswith("lib.")], "the package imports its modules"
names = [m.name for m in pkgutil.walk_packages(lib.__path__, "lib.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
assert len(names) > 80
after = (set(os.listdir()), random.getstate(), numpy.random.get_state()[1].tolist(),
         torch.random.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype())
for name, old, new in zip(("files", "random", "numpy", "torch", "threads", "dtype"), before, after):
    assert old == new, name
"""


@pytest.mark.slow
def test_importing_every_module_leaves_no_trace(tmp_path):
    """No file, no random number, no thread setting, no output, no cache folder."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "DENOISING_CACHE": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", IMPORT_ALL]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not list(tmp_path.iterdir())


def test_command_line_converts(tmp_path, capsys):
    source = write_ani1(tmp_path / "a.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    assert main(["data", "convert", "ani1", str(source), str(tmp_path / "store")]) == 0
    assert "1 molecules, 5 conformations, GFN2-xTB" in capsys.readouterr().out
    assert json.loads((tmp_path / "store" / "header.json").read_text())["counts"]["conformations"] == 5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["data", "convert", "ani1", "nowhere.h5", "out"], "no such file"),
        (["data", "convert", "ani7", "nowhere.h5", "out"], "choose from"),
        (["runs", "plan", "--scale", "huge"], "choose from"),
        (["mini-suite", "ani7"], "choose from"),
    ],
)
def test_command_line_errors_are_one_line(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert word in message
    assert len(message.strip().splitlines()) == 1


def test_command_line_lists(capsys):
    assert main(["data", "list"]) == 0
    assert main(["runs", "list"]) == 0
    assert main(["runs", "plan"]) == 0
    out = capsys.readouterr().out
    assert "mini/ani1x" in out
    assert "core-minutes left" in out


def test_command_line_reads_the_real_sample(tmp_path, capsys):
    real = sample("ani1_gdb_s01.h5")
    assert main(["data", "convert", "ani1", str(real), str(tmp_path / "store")]) == 0
    assert "3 molecules, 10800 conformations, wB97X/6-31G(d)" in capsys.readouterr().out


def test_cost_of_the_papers_matrix_is_conformations_over_the_recorded_rate(monkeypatch):
    rates = {(m, t): 50.0 for m in ("egnn", "schnet") for t in ("denoising", "energy")}
    table = settings_tables.paper_matrix(rates)
    hours = 1e6 * table["1e6 conformations"] / table["conformations/s, GPU"] / 3600
    assert table["GPU-hours"].tolist() == pytest.approx(hours.tolist())
    assert list(table.index) == [(m, t) for m in ("EGNN", "SchNet") for t in ("denoising", "energy")]
    steps = json.loads((DATA / "bench" / f"{settings_tables.GPU}.json").read_text())["steps"]
    rate = next(s["conformations/s"] for s in steps if (s["model"], s["task"]) == ("EGNN", "energy"))
    assert table.loc[("EGNN", "energy"), "conformations/s, GPU"] == rate
    monkeypatch.setitem(MODELS, "new", replace(MODELS["egnn"], label="a new model"))
    assert settings_tables.paper_matrix({("new", "energy"): 50.0})["GPU-hours"].isna().all()


def test_paper_scale_without_its_data_says_what_to_do(capsys):
    if (ROOT / "data" / "official" / "ani1").exists():
        pytest.skip("the published data are here")
    assert main(["runs", "plan", "--scale", "paper"]) == 1
    assert "python -m lib data fetch ani1" in capsys.readouterr().err


def test_command_line_converts_own_data(tmp_path, capsys):
    path, out = tmp_path / "a.xyz", str(tmp_path / "store")
    path.write_text("2\nProperties=species:S:1:pos:R:3 energy=-1.0\nC 0 0 0\nO 0 0 1.1\n" * 3)
    assert main(["data", "convert", "own", str(path), out, "--set", "energy_unit=eV"]) == 0
    assert "1 molecules, 3 conformations, own" in capsys.readouterr().out
    for wrong, word in ((["--set", "energy_units=eV"], "energy_unit"), ([], "no unit; name it with energy_unit")):
        assert main(["data", "convert", "own", str(path), f"{out}-2", *wrong]) == 1
        assert word in capsys.readouterr().err
    assert main(["data", "convert", "own", str(path), "--set", "energy_unit=eV"]) == 1
    assert "name the folder" in capsys.readouterr().err
    assert main(["data", "convert", "own", str(path)]) == 1
    assert "no unit; name it with energy_unit" in capsys.readouterr().err


def test_options_that_are_lists_are_separated_by_commas(tmp_path, capsys):
    md22 = ["data", "convert", "md22", str(ROOT / "data" / "mini" / "md22"), str(tmp_path / "store"), "--set"]
    assert main([*md22, "systems=DHA,AT-AT"]) == 0
    assert "2 molecules" in capsys.readouterr().out
