"""Several processes train as one: the same order, noise and loss; each conformation once an epoch."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import MOLECULES, make_molecule, write_ani1

from lib.data import loading
from lib.data.datasets import DataSet
from lib.data.loading import EpochSampler
from lib.models import make_settings
from lib.paths import ROOT
from lib.runs.config import RunConfig
from lib.training.settings import TrainingSettings

SMALL = {"egnn": {"hidden_channels": 8, "n_layers": 2}, "schnet": {"hidden_channels": 8, "num_filters": 8}}


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("micro_batches", [1, 3])
def test_processes_and_micro_batches_share_every_step(processes, micro_batches, monkeypatch):
    """The union of all parts is the plain step; loss weights make the mean over parts that of the step."""
    plain = list(EpochSampler(50, 16, 0, shuffle=True))
    parts = []
    monkeypatch.setattr(loading.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(loading.dist, "get_world_size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(loading.dist, "get_rank", lambda r=rank: r)
        sampler = EpochSampler(50, 16, 0, shuffle=True, micro_batches=micro_batches)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
        assert len(list(EpochSampler(50, 16, 0, shuffle=True, alone=True))) == len(plain)
    value = np.random.default_rng(0).normal(size=50)
    for step, whole in enumerate(plain):
        here = [r for own in parts for r in own[step * micro_batches : (step + 1) * micro_batches]]
        seen = np.concatenate([r.index for r in here if r.loss_weight > 0])
        assert sorted(seen) == sorted(whole.index)
        assert {r.noise_key for r in here} == {whole.noise_key}
        mean = sum(value[r.index].mean() * r.loss_weight for r in here) / len(here)
        assert mean == pytest.approx(value[whole.index].mean())


def test_two_processes_reach_the_loss_of_one(tmp_path):
    """The last step of an epoch has one conformation, so one of the processes has none."""
    molecules = [make_molecule(name, z, 27, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = (DataSet("test/ani1", "ani1", str(write_ani1(tmp_path / "ani1.h5", molecules))),)
    training = TrainingSettings(epochs=4, batch_size=16, learning_rate=1e-3)
    configs = []
    for model, values in SMALL.items():
        source = RunConfig("denoising", data, model, make_settings(model, values), training, seed=0, sigma=0.2)
        tuned = replace(source, task="energy", sigma=None, baseline="mean", pretrained=source)
        configs += [source, tuned]
    (tmp_path / "configs").write_bytes(pickle.dumps(configs))
    found = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        launch = [] if count == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
        command = [sys.executable, *launch, "tests/training/train_together.py", str(tmp_path / "configs"), str(folder)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads((folder / "histories.json").read_text()))
    for one, two in zip(*found, strict=True):
        assert one.keys() == two.keys()
        for key in one:
            np.testing.assert_allclose(one[key], two[key], rtol=1e-5, err_msg=key)
