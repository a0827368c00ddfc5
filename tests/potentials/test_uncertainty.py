"""How uncertain a single potential says it is: calibrated on validation, larger away from training, limits that act."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.io import read

from lib.data.datasets import DataSet
from lib.errors import DataError
from lib.models import make_settings
from lib.models.rigidity import RIDGE, fit_rigidity
from lib.models.weights import load_weights, save_weights
from lib.paths import DATA
from lib.potentials.calculator import PotentialCalculator, UnfamiliarError
from lib.potentials.ensemble import Potential
from lib.runs.config import Limits, RunConfig
from lib.runs.runner import run
from lib.training.execution import QUIET
from lib.training.settings import TrainingSettings
from lib.units import EV

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
EXAMPLE = DataSet("own/example", "own", str(FILE), "GFN2-xTB", (("energy_unit", "eV"),))
SETTINGS = {"hidden_channels": 16, "num_filters": 16, "num_interactions": 2, "smooth_cutoff": True, "atomwise": True,
            "repulsion": True}  # fmt: skip
TRAINING = TrainingSettings(epochs=10, batch_size=8, learning_rate=5e-3, force_weight=10.0, validate_every=5)


def trained():
    """The run of a small potential that sums over atoms."""
    config = RunConfig("energy", (EXAMPLE,), "schnet", make_settings("schnet", SETTINGS), TRAINING, 0, baseline="atoms",
                       limits=Limits(80, 40, 40))  # fmt: skip
    return run(config, QUIET)


@pytest.fixture(scope="module")
def path():
    return trained().path / "weights.safetensors"


@pytest.fixture(scope="module")
def frames():
    return read(FILE, ":40")


def stretched(atoms: Atoms, times: float) -> Atoms:
    out = atoms.copy()
    out.positions = atoms.positions.mean(0) + times * (atoms.positions - atoms.positions.mean(0))
    return out


def test_it_is_that_of_a_linear_model_calibrated_on_validation():
    """With noise of known size on labels that are linear in the features, σ is what least squares says."""
    rng = np.random.default_rng(0)
    train, validation = (torch.tensor(rng.normal(size=(n, 5))) for n in (400, 20000))
    weights, noise = torch.tensor(rng.normal(size=5)), 3.0
    labels = train @ weights + noise * torch.tensor(rng.normal(size=400))
    fitted = torch.linalg.lstsq(train, labels.unsqueeze(1)).solution.squeeze(1)
    errors = validation @ (fitted - weights)  # of the mean, without the labels' own noise
    atoms = torch.tensor(rng.integers(2, 9, size=len(validation)), dtype=torch.float64)
    rigidity = fit_rigidity(train, validation, errors, atoms)
    sigma = rigidity.uncertainty(validation)
    assert float((errors / sigma).square().mean()) == pytest.approx(1.0)
    assert rigidity.typical == pytest.approx(float((sigma / atoms).square().mean().sqrt()))
    shape = (train.T @ train).inverse()
    torch.testing.assert_close(
        rigidity.covariance / rigidity.covariance[0, 0], shape / shape[0, 0], rtol=1e-3, atol=0.01
    )
    far = torch.tensor([[10.0, 0, 0, 0, 0]], dtype=torch.float64)
    assert float(rigidity.uncertainty(far)) > 3 * float(sigma.square().mean().sqrt())
    assert RIDGE < 1e-3


def test_away_from_training_it_grows(path, frames):
    calculator = PotentialCalculator.from_weights(path, dtype=torch.float64)
    (near,) = calculator.evaluate([frames[0]])
    (wide, wider) = calculator.evaluate([stretched(frames[0], times) for times in (1.15, 1.3)])
    assert 0.1 < near["unfamiliarity"] < 4
    assert near["unfamiliarity"] < wide["unfamiliarity"] < wider["unfamiliarity"]
    assert near["energy_uncertainty"] == pytest.approx(
        near["unfamiliarity"] * load_weights(path).rigidity.typical * len(frames[0]) / EV, rel=1e-6
    )


def test_copies_far_apart_are_as_many_times_as_uncertain(path, frames):
    """Errors of equal molecules are equal, so they add up; what is familiar alone is familiar twice."""
    atoms = frames[0]
    both = atoms + Atoms(atoms.numbers, atoms.positions + np.array([80.0, 0, 0]))
    calculator = PotentialCalculator.from_weights(path, dtype=torch.float64)
    one, two = calculator.evaluate([atoms])[0], calculator.evaluate([both])[0]
    assert two["energy_uncertainty"] == pytest.approx(2 * one["energy_uncertainty"], rel=1e-6)
    assert two["unfamiliarity"] == pytest.approx(one["unfamiliarity"], rel=1e-6)


def test_limits_warn_and_stop(path, frames):
    potential = Potential.load(path)
    near, far = frames[0].copy(), stretched(frames[0], 1.5)
    value = PotentialCalculator(potential).evaluate([far])[0]["unfamiliarity"]
    calm, wary = (
        PotentialCalculator(potential, stop_at=1.01 * value),
        PotentialCalculator(potential, warn_at=0.9 * value),
    )
    for atoms, calculator in ((near, wary), (far, calm)):
        atoms.calc = calculator
        atoms.get_potential_energy()
    far.calc = wary
    with pytest.warns(
        UserWarning, match=r"structure 0: the energy per atom is .* times as uncertain as is typical of validation"
    ):
        far.get_potential_energy()
    far.calc = PotentialCalculator(potential, stop_at=0.9 * value)
    with pytest.raises(UnfamiliarError, match="train on such structures too"):
        far.get_potential_energy()
    assert issubclass(UnfamiliarError, CalculationFailed)


def test_an_ensemble_has_it_where_every_member_has(path, frames, tmp_path):
    weights = load_weights(path)
    save_weights(
        tmp_path / "without.safetensors", "schnet", weights.build(), task="energy", target=weights.about["target"]
    )
    with pytest.raises(ValueError, match=r"stop_at = 3.0: these weights do not say how uncertain energies are"):
        PotentialCalculator(Potential.load([path, tmp_path / "without.safetensors"]), stop_at=3.0)
    twice = PotentialCalculator(Potential.load([path, path])).evaluate(frames[:1])[0]
    once = PotentialCalculator(Potential.load(path)).evaluate(frames[:1])[0]
    assert twice["energy_uncertainty"] == pytest.approx(once["energy_uncertainty"])
    mixed = PotentialCalculator(Potential.load([path, tmp_path / "without.safetensors"])).evaluate(frames[:1])[0]
    assert "energy_uncertainty" not in mixed


def test_it_is_kept_in_the_file_and_checked_with_the_parameters(path, tmp_path):
    weights = load_weights(path)
    assert not any(key.startswith("rigidity.") for key in weights.state)
    copy = tmp_path / "copy.safetensors"
    save_weights(copy, "schnet", weights.build(), weights.rigidity, task="energy", target=weights.about["target"])
    again = load_weights(copy).rigidity
    assert torch.equal(again.covariance, weights.rigidity.covariance)
    assert again.typical == weights.rigidity.typical
    assert weights.about["target"]["reach"]
    changed = replace(weights.rigidity, typical=2 * weights.rigidity.typical)
    about = {key: value for key, value in weights.about.items() if key not in ("model", "settings")}
    save_weights(copy, "schnet", weights.build(), changed, **about)
    content = path.read_bytes()
    position = content.rindex(np.float64(weights.rigidity.typical).tobytes())
    (tmp_path / "broken.safetensors").write_bytes(content[:position] + b"\x01" + content[position + 1 :])
    with pytest.raises(DataError, match="checksum"):
        load_weights(tmp_path / "broken.safetensors")


def test_features_that_overflow_give_none():
    """As after a training that diverged, whose result the learning rates are chosen without."""
    features = torch.full((8, 3), 1e200, dtype=torch.float64)
    assert fit_rigidity(features, features, *torch.ones(2, 8, dtype=torch.float64)) is None
