"""CONTRIBUTING's recipes, run as they are printed: new files, lines of registries, and the test at the end of each."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import types
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from scipy.spatial.transform import Rotation
from test_project import TestNotebook as NotebookRules

import lib
from lib.batches import Batch
from lib.data.sources import load_sources
from lib.errors import DataError
from lib.paths import ROOT
from lib.runs.config import Limits

RECIPES = re.split(r"^### Recipe: ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
BLOCK = re.compile(
    r"```(?:python|yaml)\n# (?P<kind>[a-z ]+?)(?:: | in | to |\n)(?P<place>[^\n]*)\n(?P<code>.*?)```", re.DOTALL
)
IN_TESTS = {
    "Batch": Batch, "DataError": DataError, "Limits": Limits, "Rotation": Rotation, "json": json, "lib": lib, "np": np,
    "pytest": pytest, "replace": replace, "torch": torch,
}  # fmt: skip  # what a recipe's test takes as imported


class Recipe:
    """One recipe and what its blocks do to the house, undone after the test."""

    def __init__(self, title, monkeypatch, folder):
        (self.text,) = (text for text in RECIPES if text.startswith(f"{title}\n"))
        self.monkeypatch, self.folder, self.tests = monkeypatch, folder, {}

    def follow(self):
        kinds = {
            "new file": self.new_file,
            "line": self.line,
            "add": self.add,
            "test": self.test,
            "entry": self.entry,
            "notebook": self.notebook,
        }
        for match in BLOCK.finditer(self.text):
            if match["kind"] == "test":
                self.test("", f"{match['place']}\n{match['code']}")
            else:
                kinds[match["kind"]](match["place"], match["code"])
        return self

    def new_file(self, path, source):
        assert not (ROOT / path).exists(), f"{path} is there already: the recipe needs another name"
        assert source.startswith('"""'), "a module begins with its docstring"
        name = path.removesuffix(".py").replace("/", ".")
        module, (room, _, stem) = types.ModuleType(name), name.rpartition(".")
        module.__file__ = path
        self.monkeypatch.setitem(sys.modules, name, module)
        self.monkeypatch.setattr(importlib.import_module(room), stem, module, raising=False)
        exec(compile(source, path, "exec"), vars(module))

    def line(self, registry, source):
        """``"name": value,`` as it stands in the registry, evaluated in the registry's module."""
        module_name, _, attribute = registry.rpartition(".")
        module = importlib.import_module(module_name)
        imports, _, entry = source.rpartition("\n\n")
        names = {}
        home = importlib.import_module(getattr(self.home_of(module, attribute), "__name__", module_name))
        exec(imports, names)
        (key, value), *more = eval("{" + (entry or source) + "}", vars(home) | names).items()
        assert not more and key not in getattr(module, attribute)
        self.monkeypatch.setitem(getattr(module, attribute), key, value)

    @staticmethod
    def home_of(module, attribute):
        """The module that defines a registry that ``module`` gives on: there, the line's other names are known."""
        registry = getattr(module, attribute)
        homes = [
            m
            for m in list(sys.modules.values())
            if getattr(m, "__name__", "").startswith(module.__name__) and vars(m).get(attribute) is registry
        ]
        return max(homes, key=lambda m: len(m.__name__))

    def add(self, path, source):
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        self.monkeypatch.setattr(module.app, "registered_commands", [*module.app.registered_commands])
        exec(compile(source, path, "exec"), dict(vars(module)))

    def entry(self, _, source):
        path = self.folder / "sources.yml"
        path.write_text(source, encoding="utf-8")
        assert set(load_sources(path)) == {"ethanol"}

    def notebook(self, place, source):
        self.path = self.folder / place.rpartition("/")[2]
        exec(source, {"nbformat": nbformat, "new_code_cell": new_code_cell, "new_markdown_cell": new_markdown_cell,
                      "new_notebook": new_notebook, "path": self.path})  # fmt: skip

    def test(self, _, source):
        names = dict(IN_TESTS)
        exec(source, names)
        self.tests |= {key: value for key, value in names.items() if key.startswith("test_")}


@pytest.fixture
def recipe(monkeypatch, tmp_path):
    return lambda title: Recipe(title, monkeypatch, tmp_path).follow()


def passes(test, request):
    """Call a recipe's test with the fixtures that its arguments name."""
    test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})


@pytest.mark.parametrize(
    "title", ["a model", "a data set", "a benchmark", pytest.param("a pre-training objective", marks=pytest.mark.slow)]
)
def test_a_recipe_as_printed(title, recipe, request):
    for module in (
        "lib.models",
        "lib.data.readers",
        "lib.data.datasets",
        "lib.study.scales",
        "lib.runs",
        "lib.cli.main",
    ):
        importlib.import_module(module)
    tests = recipe(title).tests
    assert tests
    for test in tests.values():
        assert test.__doc__
        passes(test, request)


@pytest.mark.slow
def test_the_notebook_keeps_the_rules_and_runs(recipe, tmp_path):
    path = recipe("a notebook").path
    for name, rule in inspect.getmembers(NotebookRules, inspect.isfunction):
        if name.startswith("test_"):
            rule(NotebookRules(), path)
    places = {"DENOISING_FIGURES": str(tmp_path / "figures"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(path), str(tmp_path / "out.ipynb")]
    done = subprocess.run(command, env=os.environ | places, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    sizes = pd.read_csv(tmp_path / "figures" / "smoke" / "sizes.csv")
    assert set(sizes["quantity"]) >= {"count", "mean", "max"}


def test_every_recipe_is_tried():
    assert {text.split("\n")[0] for text in RECIPES} == {
        "a model",
        "a data set",
        "a pre-training objective",
        "a benchmark",
        "a notebook",
    }
