"""Trained models by name: the shipped ones, those trained here, files, and what is said of names that are not there."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import InputError

import lib
from lib import load_pretrained
from lib.data.datasets import find, open_store
from lib.errors import DataError
from lib.models.weights import load_weights, weights_of_run
from lib.own.pretrained import shipped
from lib.runs.results import WEIGHTS, find_record
from lib.study.scales import get_scale


def isomer() -> Atoms:
    """A conformation of C7O2H10 with its label (eV)."""
    store = open_store(find("mini/iso17"))
    return Atoms(store.arrays["z"][store.atoms_of(0)], positions=store.gather(np.array([0])).positions)


def test_layers_come_with_their_settings():
    layers = load_pretrained("torchmd_net-laptop")
    assert layers.settings == get_scale("laptop").settings("torchmd_net")
    assert not layers.model.training and not layers.gives_energies
    saved = load_weights(WEIGHTS / "torchmd_net-laptop-seed0.safetensors").state
    assert all(torch.equal(value, saved[name]) for name, value in layers.model.state_dict().items())
    assert load_pretrained("torchmd_net-laptop-dynamics").settings.smooth_cutoff


def test_three_lines_to_a_calculator():
    atoms = isomer()
    atoms.calc = load_pretrained("torchmd_net-laptop-dynamics-iso17").calculator()
    label = open_store(find("mini/iso17")).energy(np.array([0]))[0]
    assert abs(atoms.get_potential_energy() * 23.060547830619 - label) < 10.0  # kcal/mol
    assert atoms.calc.results["energy_std"] > 0  # three seeds
    one = load_pretrained("torchmd_net-laptop-dynamics-iso17", seeds=[1]).calculator()
    assert "energy_std" not in one.evaluate([atoms])[0]
    with pytest.raises(InputError, match="atom types N were not in training"):
        one.evaluate([molecule("NH3")])


def test_files_are_loaded_as_names_are():
    paths = shipped()["torchmd_net-laptop-dynamics-iso17"]
    several, one = load_pretrained(paths).calculator(), load_pretrained(str(paths[0])).calculator()
    assert len(several.potential.members) == 3 and len(one.potential.members) == 1
    with pytest.raises(DataError, match="there is no such weights file"):
        load_pretrained("nothing.safetensors")
    with pytest.raises(ValueError, match="no seeds beside it"):
        load_pretrained(paths, seeds=[0])
    with pytest.raises(ValueError, match="0 files: name at least one"):
        load_pretrained([])


@pytest.mark.parametrize(("name", "seeds", "said"), [
    ("torchmdnet", None, r"no trained model 'torchmdnet': choose from \['egnn-laptop', .*'torchmd_net-laptop-iso17'\]"),
    ("egnn-wide", None, r"'egnn-wide' is neither shipped .* pretrain --weights egnn-wide --seed 0"),
    ("egnn-laptop", [0, 7], r"seed 7 of 'egnn-laptop' is neither shipped .*seeds \[0\], or train it.* --seed 7"),
    ("torchmd_net-laptop-iso17", [3], r"seed 3 of .*: choose from seeds \[0\]$"),
])  # fmt: skip
def test_names_that_are_not_there(name, seeds, said):
    with pytest.raises(ValueError, match=said):
        load_pretrained(name, seeds)


def test_layers_give_no_energies():
    with pytest.raises(ValueError, match=r"predict noise and no energies: fine-tune.*\['torchmd_net-laptop"):
        load_pretrained("schnet-laptop").calculator()


def test_layers_that_were_trained_here_are_found(monkeypatch):
    trained = load_weights(WEIGHTS / "schnet-laptop-seed0.safetensors")
    result = type("Trained", (), {"weights": lambda self: trained})()
    config = get_scale("smoke").pretrain("schnet", 1).key()
    monkeypatch.setattr("lib.own.pretrained.stored_with_weights", lambda c: result if c.key() == config else None)
    assert load_pretrained("schnet-smoke").weights == (trained,)
    assert load_pretrained("schnet-smoke", [1]).weights == (trained,)
    with pytest.raises(ValueError, match="seed 0 of 'schnet-smoke'"):
        load_pretrained("schnet-smoke", [0, 1])


def test_every_shipped_file_is_that_of_a_record():
    """By the run in its header, whatever it is called; a file that has the key for its name comes first."""
    for name, paths in shipped().items():
        for path in paths:
            key = load_weights(path).about["run"]
            record = find_record(key)
            assert record.weights().path == path
            assert path.name == f"{record.readable_name()}.safetensors"
            assert path.name.startswith(name)


def test_a_file_called_by_its_key_is_found(tmp_path):
    (source,) = shipped()["schnet-laptop"]
    key = load_weights(source).about["run"]
    assert weights_of_run(tmp_path, key) is None
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    (tmp_path / "mine.safetensors").write_bytes(source.read_bytes())
    assert weights_of_run(tmp_path, key) == tmp_path / "mine.safetensors"
    (tmp_path / f"{key}.safetensors").write_bytes(source.read_bytes())
    assert weights_of_run(tmp_path, key) == tmp_path / f"{key}.safetensors"


def test_importing_the_package_imports_nothing():
    code = "import sys, lib; assert not {'torch', 'numpy', 'lib.own'} & set(sys.modules); print(lib.load_pretrained)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "load_pretrained" in said
    assert "load_pretrained" in dir(lib)
    with pytest.raises(AttributeError, match="no attribute 'load_everything'"):
        lib.load_everything  # noqa: B018 (asked for to see the error)


def test_what_trains_nothing_imports_no_training_loop():
    """Lightning takes as long to import as torch: plans, reports and potentials do without it."""
    code = "import sys, lib.calculator, lib.campaign, lib.report.tables; print('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("name", [name for name in shipped() if load_pretrained(name).gives_energies])
def test_shipped_potentials_refuse_other_compositions(name):
    """Each was trained on one, so that an energy of ethanol would be off by an arbitrary constant."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = load_pretrained(name).calculator()
    with pytest.raises(InputError, match="the only composition in training"):
        atoms.get_potential_energy()
