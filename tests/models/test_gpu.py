"""On a GPU: the numbers of the CPU, through every path. Skipped where torch sees no CUDA."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.batches import Batch
from lib.data.datasets import find, open_store
from lib.models import MODELS, build
from lib.models.forces import energy_and_forces
from lib.potentials.ensemble import Potential
from lib.runs.config import Limits
from lib.runs.runner import run_here
from lib.study.cells import Cell
from lib.study.scale import ByData
from lib.study.scales import get_scale
from lib.training.execution import Execution

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA")
KINDS = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu", "cpu")
CPU, GPU = (Execution(progress=False, accelerator=kind) for kind in KINDS)


@pytest.fixture(scope="module")
def batch():
    found = open_store(find("mini/ani1x")).gather(np.arange(0, 2000, 100))
    return Batch.from_arrays(found.types, found.positions.astype(np.float64), found.molecule)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("name", list(MODELS))
def test_energies_forces_and_noises_are_the_cpus(name, smooth, batch):
    torch.manual_seed(0)
    model = build(name, replace(get_scale("laptop").settings(name), smooth_cutoff=smooth)).double()
    with torch.no_grad():
        here = model(batch)
        energy, forces = energy_and_forces(model, batch)
    there = batch.to("cuda")
    model = model.cuda()
    with torch.no_grad():
        found = model(there)
        found_energy, found_forces = energy_and_forces(model, there)
    pairs = [(here.energy, found.energy), (here.noise, found.noise), (energy, found_energy), (forces, found_forces)]
    for a, b in pairs:
        assert float((a - b.cpu()).abs().max() / a.abs().max()) < 1e-9


@pytest.mark.parametrize("name", list(MODELS))
def test_a_run_on_the_gpu_is_one_on_the_cpu(name):
    """Pre-trained, fine-tuned and scored there, with and without forces; its weights give the same energies here."""
    scale = get_scale("smoke")
    pretraining = replace(scale.pretraining, limits=Limits(120, 30))
    finetuning = replace(scale.finetuning, limits=ByData(Limits(60, 20, 40)))
    scale = replace(scale, pretraining=pretraining, finetuning=finetuning)
    source = scale.pretrain(name, 0)
    pretrained = run_here(source, GPU)
    assert pretrained.metrics["validation_denoising_error"] < 1.5
    for data, weight in (("ani1x", None), ("iso17", 10.0)):
        config = scale.finetune(Cell(name, data, True, force_weight=weight), 1e-3, 0)
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        there = run_here(config, GPU)
        assert torch.cuda.max_memory_allocated() > held  # it was not the CPU
        assert there.about["provenance"]["hardware"] == torch.cuda.get_device_name()
        rows = there.predictions()
        potential = Potential([there.weights()], "cpu")
        store = open_store(find(f"mini/{data}"))
        found = store.gather(rows["index"])
        ends = np.cumsum(found.n_atoms)[:-1]
        energies = potential.evaluate(np.split(found.types, ends), np.split(found.positions, ends)).energies[0]
        absolute = rows["prediction"] + store.energy(rows["index"]) - store.relative_energy(rows["index"])
        assert np.abs(energies - absolute).max() < 0.05


def test_pretraining_on_the_gpu_learns_what_the_cpu_learns(tmp_path, monkeypatch):
    config = replace(get_scale("smoke").pretrain("egnn", 0), limits=Limits(300, 60))
    errors = []
    for execution in (CPU, GPU, replace(GPU, precision="bf16-mixed")):
        monkeypatch.setattr("lib.runs.runner.RUNS", tmp_path / f"{execution.accelerator}-{execution.precision}")
        errors.append(run_here(config, execution).metrics["validation_denoising_error"])
    assert errors[1] == pytest.approx(errors[0], rel=0.01)
    assert errors[2] == pytest.approx(errors[0], rel=0.05)
