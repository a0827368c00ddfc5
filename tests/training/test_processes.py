"""Several processes train as one: the same order, noise and loss; each conformation once an epoch."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import MOLECULES, make_molecule, write_ani1

from lib.cli import run as cli
from lib.data import loading
from lib.data.datasets import DataSet
from lib.data.loading import EpochSampler
from lib.errors import TrainingError
from lib.models import make_settings
from lib.paths import ROOT
from lib.runs import runner
from lib.runs.config import RunConfig
from lib.training.execution import LAST, Execution
from lib.training.settings import TrainingSettings

SMALL = {
    "egnn": {"hidden_channels": 8, "n_layers": 2},
    "schnet": {"hidden_channels": 8, "num_filters": 8, "num_interactions": 2, "num_gaussians": 8},
    "torchmd_net": {"hidden_channels": 8, "num_layers": 2, "num_rbf": 8, "num_heads": 2},
    "se3_transformer": {"n_layers": 1, "degrees": 2, "radial_channels": 8, "out_channels": 4},
}
EPOCHS = 7  # at most, where early stopping is on
ALONE = Execution(progress=False, accelerator="cpu")


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


@pytest.fixture
def configs(tmp_path):
    """Each of the paper's models: SchNet learns energies from scratch, EGNN after denoising, the others denoise.

    The last step of an epoch has one conformation.
    """
    molecules = [make_molecule(name, z, 27, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = (DataSet("test/ani1", "ani1", str(write_ani1(tmp_path / "ani1.h5", molecules))),)
    denoising = TrainingSettings(epochs=2, batch_size=16, learning_rate=1e-3)
    energies = replace(denoising, epochs=EPOCHS, learning_rate=3e-2, patience=1)
    schnet, *others, egnn = (
        RunConfig("denoising", data, model, make_settings(model, SMALL[model]), denoising, seed=0, sigma=0.2)
        for model in ("schnet", "se3_transformer", "torchmd_net", "egnn")
    )
    scratch = replace(schnet, task="energy", sigma=None, baseline="mean", training=energies)
    tuned = replace(scratch, model=egnn.model, settings=egnn.settings, pretrained=egnn)
    return [*others, egnn, tuned, scratch]


def assert_same(one, other):
    """The same epochs, and the same metrics up to rounding."""
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, err_msg=name)


def test_four_processes_reach_the_metrics_of_one(configs, tmp_path, monkeypatch):
    """In the last step of an epoch three of them have nothing; each stops early where one process does.

    Of each task one model takes its batches in three parts.
    """
    jobs = [("four", config, parts) for config, parts in zip(configs, (1, 3, 1, 3, 1), strict=True)]
    (tmp_path / "jobs").write_bytes(pickle.dumps(jobs))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "4"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [*launch, "tests/training/train_together.py", str(tmp_path / "jobs"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[:20000]
    monkeypatch.setattr(runner, "RUNS", tmp_path / "one")
    one = {config.key(): runner.run(config, ALONE).history() for config in configs}
    histories = json.loads((tmp_path / "histories.json").read_text())
    for (_, config, _), together in zip(jobs, histories, strict=True):
        assert_same(one[config.key()], together)
    stopped = [config.model for config in configs if config.labelled and len(one[config.key()]["epoch"]) < EPOCHS]
    assert stopped, "no run stopped early: choose a higher learning rate"


def kill_one_at(config, step, others, training):
    """SIGKILL for one of the processes that train ``config``, when it has a checkpoint of ``step`` or a later one.

    Their numbers are appended to ``training``; ``others`` are children of this process that train nothing here, such as
    the pool that an earlier test has left.
    """
    checkpoint = runner.RUNS / f".{config.key()}" / LAST
    while not checkpoint.exists() or torch.load(checkpoint, weights_only=True)["global_step"] < step:
        time.sleep(0.01)
    training += [child.pid for child in multiprocessing.active_children() if child not in others]
    os.kill(max(training), signal.SIGKILL)


def exists(pid):
    """Whether there is a process ``pid``, if only an ended one that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_process_ends_all_and_the_next_start_goes_on(configs, tmp_path, monkeypatch):
    """As `run --devices 2` does; it ends with the metrics of one process that nobody killed."""
    config = replace(configs[0], training=replace(configs[0].training, epochs=10))
    two = replace(ALONE, devices=2, checkpoint_minutes=1e-9)
    monkeypatch.setattr(cli, "_refuse_more_than_there_are", lambda execution: None)  # one core is enough here
    training = []
    arguments = (config, 10, multiprocessing.active_children(), training)
    killer = threading.Thread(target=kill_one_at, args=arguments, daemon=True)
    killer.start()
    with pytest.raises(
        TrainingError, match=r"^a process ended with an error: Signal 9 \(SIGKILL\) received by PID \d+$"
    ):
        cli._result(config, two)
    killer.join()
    assert len(training) == 2 and not any(map(exists, training))
    step = torch.load(runner.RUNS / f".{config.key()}" / LAST, weights_only=True)["global_step"]
    result = cli._result(config, two)
    assert result.about["resumed"] and 10 <= step < result.about["steps"]
    monkeypatch.setattr(runner, "RUNS", tmp_path / "one")
    assert_same(runner.run_here(config, ALONE).history(), result.history())


def test_a_job_of_slurm_is_not_taken_for_a_group_of_processes(configs, tmp_path, monkeypatch):
    """Nor is the checkpoint of another run, which Lightning leaves where a job is told to end, for this run's."""
    for name, value in {"NTASKS": "4", "PROCID": "1", "LOCALID": "1", "NODEID": "0", "JOB_NAME": "batch"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "RUNS", tmp_path / "runs")
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes(b"of another run")
    assert runner.run_here(configs[0], ALONE).history()["epoch"] == [1, 2]
