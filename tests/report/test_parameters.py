"""Every parameter of every notebook: nonsense is one line, before anything is read or trained."""

import ast
from math import inf, nan

import nbformat
import pytest
from ase import Atoms
from ase.build import molecule

from lib.paths import ROOT
from lib.report import parameters
from lib.report.parameters import NOTEBOOKS, check, turned_atoms

PATHS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
NONSENSE = {  # by parameter: a value, and what is said of it
    "scale": [("huge", "choose from ['all_labels', 'laptop'"), (3, "choose from"), (None, "choose from")],
    "models": [([], "name at least"), (["foo"], "'foo': choose from ['egnn'"), ("egnn", "give a list, such as ['egn"),
               (["egnn", "egnn"], "'egnn' is given twice and would be counted twice"), ([3], "3: choose from")],
    "model": [("foo", "choose from ['egnn'"), (["egnn"], "choose from"), (None, "choose from")],
    "drawn": [("foo", "choose from")], "detailed": [("foo", "choose from")],
    "seeds": [([], "name at least"), ([0, 0], "0 is given twice"), ([0, 1, 0], "0 is given twice"), (3, "give a lis"),
              ([-1], "-1: give a whole number from 0 on"), ([0.5], "0.5: give a whole number"), ([True], "True: give"),
              (["0"], "'0': give a whole number"), ([nan], "nan: give a whole number")],
    "seed": [(-1, "give a whole number from 0 on"), ([0], "give a whole number"), (None, "give a whole number")],
    "systems": [([], "name at least"), (["foo"], "'foo': choose from ['AT-AT'"), (["DHA", "DHA"], "is given twice")],
    "shares": [([], "name at least 2"), ([1.0], "name at least 2"), ([0, 1.0], "share = 0 of the training"),
               ([1.0, 2], "share = 2 of"), ([nan, 1.0], "share = nan"), ([1.0, 1], "1 is given twice")],
    "sigma": [(0, "give a number from 0.0001 to 10 Å"), (-0.2, "give a num"), (1e9, "give a num"), (1e-300, "give a"),
              (nan, "give a number"), (inf, "give a number"), ("0.2", "give a number"), (None, "give a number")],
    "sigmas": [([], "name at least one"), ([0.0], "name at least one above 0 Å"), ([-1.0], "-1.0: give a num"),
               ([0.0, 1e9], "1000000000.0: give a number"), ([0.2, 0.2], "0.2 is given twice"), ([nan], "nan: give a")],
    "learning_rate": [(0, "give a number from 1e-07 to 100"), (inf, "give a number"), (nan, "give a number"),
                      (-1e-3, "give a number"), (1e300, "give a number"), ("fast", "give a number")],
    "learning_rates": [([], "name at least one"), ([0], "0: give a number from 1e-07"), (1e-3, "give a"),
                       ([1e-3, 1e-3], "0.001 is given twice"), ([inf], "inf: "), ([nan], "nan: ")],
    "steps": [(0, "give a whole number from 1 on"), (-1, "give a whole"), (1.5, "give a whole")],
    "sampled": [(0, "give a whole number from 1 on")], "n_atoms": [(0, "give a whole number from 1 on")],
    "probed": [(0, "give a whole number from 1 on")],
    "workers": [(0, "give a whole number from 1 on"), (-1, "give a whole number"), ("all", "give a whole number")],
    "device": [("banana", "no accelerator 'banana': choose from"), ("gpu", ""), (None, "choose from")],
    "missing": [("skip", "choose from ['leave out', 'train']"), (3, "choose from")],
    "molecules": [(0, "give a whole number from 1 on")], "conformations": [(2, "give a whole number from 3 on")],
    "stiff": [(0, "give a number from 0.001 to 10 Å"), (nan, "give a number")],
    "soft": [(-1, "give a number from 0.001 to 10 Å"), (inf, "give a number")],
    "force_weights": [([], "name at least"), ([-1.0], "-1.0: give a number from 0 to 1e+0"), ([0.0, 0], "0 is given"),
                      ([nan], "nan: give a number"), (10.0, "give a list")],
    "picoseconds": [(0, "give a number from 0.001 to 1e+06 ps"), (-1, "give a number"), (nan, "give a number")],
    "temperature": [(-1, "give a number from 1 to 100000 K"), (0, "give a number"), (inf, "give a number")],
    "step": [(-1, "give a number from 0.001 to 10 fs"), (0, "give a number"), (nan, "give a number")],
    "sizes": [([], "name at least one"), ([0], "0: give a whole number from 1"), ([20, 20], "20 is given twice")],
    "seconds": [(0, "give a number from 0.001 to 3600 s"), (nan, "give a number")],
    "gpu": [("mine", "choose from ['h100"), (None, "choose from")],
    "energy_unit": [("kcal", "choose from ['Hartree', 'eV'"), (None, "choose from")],
    "energy_key": [("", "give a name"), (None, "give a name")], "forces_key": [("", "give a name")],
    "level": [("", "give a name"), (None, "give a name")],
    "weights": [("egnn", "choose from ['egnn-"), (["egnn-laptop"], "choose from")],
    "dihedral": [([0, 1, 2], "give the numbers of four atoms"), ([0, 1, 2, 2], "2 is given twice"), (7, "give a list"),
                 ([0, 1, 2, -1], "-1: give a whole"), ([0, 1, 2, 3, 4], "give the numbers of four atoms")],
    "copies": [(1, "give a whole number from 2 to 20"), (2.5, "give a whole number")],
    "apart": [(0, "give a number from 20 to 10000 Å"), ("far", "give a number")],
    "shown": [("foo", "choose from"), (1, "choose from")],
    "bond": [("", "give a name"), (3, "give a name")],
    "held_out": [(0, "give a whole number from 20 to 1000")],
    "warn_at": [(0, "give a number from 0.1"), (None, "give a number")],
    "stop_at": [(-1, "give a number from 0.1"), (float("nan"), "give a number")],
    "control": [(["foo"], "no data set 'mini/foo': choose from"), ("ani1x", "give a list, such as ['ani1x']")],
}  # fmt: skip
NONSENSE_OF = {  # where one name means different things
    ("02_ani1_and_ani1x", "data"): [([], "name at least one"), (["foo"], "no data set 'mini/foo'"), ("ani1", "give a")],
    ("06_data_efficiency", "data"): [([], "name at least one"), (["ani1", "ani1"], "'ani1' is given twice")],
    ("07_choice_of_sigma", "data"): [("foo", "no data set 'mini/foo'"), (["ani1x"], "no data set")],
    ("10_forces", "data"): [("foo", "no data set 'mini/foo'"), (None, "no data set")],
    ("11_your_own_molecules", "data"): [("nothing.xyz", "it is not there; check the path"), (3, "it is no"), ("", "")],
    ("02_ani1_and_ani1x", "labels"): [(0, "give a whole number from 1 to 1700"), (10**6, "give a whole number")],
    ("11_your_own_molecules", "labels"): [([], "name at least one"), ([0], "0: give a whole"), ([5, 5], "5 is given")],
}  # fmt: skip
CASES = [
    (notebook, name, value, message)
    for notebook, rules in NOTEBOOKS.items()
    for name in rules
    for value, message in NONSENSE_OF.get((notebook, name), NONSENSE.get(name, []))
]


def code_cells(notebook: str) -> list[str]:
    return [cell.source for cell in nbformat.read(PATHS[notebook], 4).cells if cell.cell_type == "code"]


def defaults(notebook: str) -> dict:
    names: dict = {}
    exec(code_cells(notebook)[0], names)
    return {name: value for name, value in names.items() if name != "__builtins__"}


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setitem(parameters.Execution.__post_init__.__globals__["ACCELERATORS"], "gpu", lambda: False)


@pytest.mark.parametrize("notebook", PATHS)
def test_every_parameter_has_a_rule_and_its_default_keeps_it(notebook):
    assert set(defaults(notebook)) == set(NOTEBOOKS[notebook])
    check(notebook, defaults(notebook))


@pytest.mark.parametrize("notebook", PATHS)
def test_parameters_are_checked_before_anything_else(notebook):
    """In the first cell after them, before any statement but imports, and without a Python name that hides another."""
    statements = [
        node for node in ast.parse(code_cells(notebook)[1]).body if not isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert ast.unparse(statements[0]) == f"parameters.check('{notebook}', globals())"


def test_every_parameter_is_tried():
    assert {(notebook, name) for notebook, name, _, _ in CASES} == {
        (notebook, name) for notebook, rules in NOTEBOOKS.items() for name in rules
    }


@pytest.mark.parametrize(("notebook", "name", "value", "message"), CASES)
def test_nonsense_is_one_line_that_names_it(notebook, name, value, message):
    with pytest.raises(ValueError, match=f"^{name} = ") as caught:
        check(notebook, defaults(notebook) | {name: value})
    said = str(caught.value)
    assert said.startswith(f"{name} = {value!r}: ")
    assert message in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("models", ["schnet"]), ("models", ("egnn", "schnet")), ("seeds", [4]), ("systems", ["DHA"]), ("workers", 1),
     ("sigma", 1), ("picoseconds", 0.5), ("learning_rates", [1e-3]), ("dihedral", [0, 1, 2, 3]), ("control", [])],
)  # fmt: skip
def test_what_makes_sense_is_accepted(name, value):
    notebooks = [notebook for notebook, rules in NOTEBOOKS.items() if name in rules]
    assert notebooks
    for notebook in notebooks:
        check(notebook, defaults(notebook) | {name: value})


def test_a_dihedral_is_held_against_the_molecule():
    ethanol, ring = molecule("CH3CH2OH"), molecule("C6H6")
    assert turned_atoms(ethanol, None) == []
    assert set(turned_atoms(ethanol, [4, 0, 1, 2])) >= {1, 2}
    with pytest.raises(ValueError, match=r"dihedral = \[0, 1, 2, 99\]: the molecule has atoms 0 to 8"):
        turned_atoms(ethanol, [0, 1, 2, 99])
    with pytest.raises(ValueError, match="not bonded: choose a bond"):
        turned_atoms(Atoms("H4", [[3.0 * k, 0, 0] for k in range(4)]), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="in a ring: nothing can turn about it"):
        turned_atoms(ring, [0, 1, 2, 3])


def test_an_unknown_notebook_is_named():
    with pytest.raises(ValueError, match="no notebook '12': choose from"):
        check("12", {})
