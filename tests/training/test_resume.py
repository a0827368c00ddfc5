"""Runs that are killed: started again, they end as if nobody had killed them. Runs asked for twice are trained once."""

import errno
import multiprocessing
import os
import random
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import MOLECULES, full_disk, make_molecule, write_ani1

from lib.data.datasets import DataSet
from lib.models import make_settings
from lib.runs import runner
from lib.runs.config import RunConfig
from lib.runs.jobs import JOBS
from lib.training.denoising import DenoisingTask
from lib.training.execution import LAST, Execution
from lib.training.fit import AtomicCheckpoints, resumable
from lib.training.settings import TrainingSettings

KILLS, WHILE_WRITING = int(os.environ.get("KILLS", "8")), 6
EXECUTION = Execution(progress=False, accelerator="cpu")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["lib.runs.runner", "lib.training.fit"])


@pytest.fixture
def config(tmp_path):
    molecules = [make_molecule(name, z, 40, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = DataSet("test/ani1", "ani1", str(write_ani1(tmp_path / "ani1.h5", molecules)))
    settings = make_settings("egnn", {"hidden_channels": 8, "n_layers": 2})
    training = TrainingSettings(epochs=8, batch_size=16, learning_rate=3e-3)
    return RunConfig("denoising", (data,), "egnn", settings, training, seed=0, sigma=0.2)


def train(config, folder, slow):
    """In a process of its own: with ``slow``, a checkpoint is written in two halves with a pause between them."""
    torch.set_num_threads(1)
    runner.RUNS = folder
    if slow:
        save = torch.save

        def in_halves(content, file):
            save(content, folder / "whole")
            content = (folder / "whole").read_bytes()
            file.write(content[: len(content) // 2])
            file.flush()
            (folder / "writing").touch()
            time.sleep(0.1)
            file.write(content[len(content) // 2 :])
            (folder / "writing").unlink()

        torch.save = in_halves
    runner.run(config, EXECUTION)


def start(config, folder, slow=False):
    process = PROCESSES.Process(target=train, args=(config, folder, slow))
    process.start()
    return process


def left(config, folder):
    """All that a run leaves, but for times."""
    found = folder / config.key()
    return [(found / name).read_bytes() for name in ("weights.safetensors", "history.json")]


def test_killed_runs_end_as_if_nobody_had_killed_them(config, tmp_path, capsys):
    """`KILLS` times SIGKILL, at random moments or in the middle of writing a checkpoint."""
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
    rng, folder = random.Random(seed), tmp_path / "killed"
    folder.mkdir()
    started = time.perf_counter()
    undisturbed = start(config, tmp_path / "whole")
    undisturbed.join()
    duration = time.perf_counter() - started
    expected = left(config, tmp_path / "whole")
    kills, in_writing, went_on, finished = 0, 0, 0, 0
    while kills < KILLS or not finished:
        slow = kills < KILLS and (rng.random() < 0.5 or KILLS - kills <= WHILE_WRITING - in_writing)
        went_on += (folder / f".{config.key()}" / LAST).exists()
        (folder / "writing").unlink(missing_ok=True)
        process = start(config, folder, slow)
        if slow:
            for nth in range(1 + kills % 4):  # the first to the fourth checkpoint of this process, in turn
                while nth and process.is_alive() and (folder / "writing").exists():
                    time.sleep(0.005)
                while process.is_alive() and not (folder / "writing").exists():
                    time.sleep(0.005)
        else:
            process.join(rng.uniform(0, duration) if kills < KILLS else None)
        if process.is_alive():
            process.kill()
            kills += 1
            in_writing += slow and (folder / "writing").exists()
        process.join()
        if (folder / config.key() / "result.json").exists():
            assert left(config, folder) == expected, f"KILL_SEED={seed}"
            finished += 1
            (folder / config.key()).rename(folder / f"finished-{finished}")
    with capsys.disabled():
        print(  # noqa: T201 (a long test says what it did)
            f"\nKILL_SEED={seed}: {kills} kills, {in_writing} of them while a checkpoint was written; "
            f"{went_on} starts went on from a checkpoint; {finished} runs ended with the same weights"
        )
    assert in_writing >= 5
    assert went_on > 0


def counted(config, folder, count):
    """Run ``config``, and leave a line in ``count`` for each training."""
    torch.set_num_threads(1)
    runner.RUNS = folder
    job = JOBS["denoising"]

    def counting(*arguments):
        with open(count, "a") as file:
            file.write("trained\n")
        return job(*arguments)

    JOBS["denoising"] = counting
    runner.run(config, EXECUTION)


def test_a_run_asked_for_by_several_processes_is_trained_once(config, tmp_path):
    count = Path(tmp_path / "count")
    processes = [PROCESSES.Process(target=counted, args=(config, tmp_path / "runs", count)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert count.read_text() == "trained\n"


def test_a_half_written_checkpoint_is_never_in_its_place(tmp_path, monkeypatch):
    from lib.training.fit import AtomicCheckpoints

    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)

    def fail(_, file):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space"):
        AtomicCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}


class KilledError(Exception):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("steps", [3, 7, 20])
def test_a_fit_goes_on_within_an_epoch(config, tmp_path, monkeypatch, steps, accumulate):
    """Stopped after some steps of an epoch of eight, it ends with the same weights, and takes each step once."""
    execution = replace(EXECUTION, checkpoint_minutes=1e-9, accumulate=accumulate)
    config = replace(config, training=replace(config.training, epochs=3))
    taken = []
    step = DenoisingTask.optimizer_step

    def counted_step(self, *arguments, **options):
        if len(taken) == steps:
            taken.append("killed")
            raise KilledError
        taken.append(self.trainer.global_step)
        return step(self, *arguments, **options)

    monkeypatch.setattr(runner, "RUNS", tmp_path / "whole")
    runner.run_here(config, execution)
    monkeypatch.setattr(runner, "RUNS", tmp_path / "stopped")
    monkeypatch.setattr(DenoisingTask, "optimizer_step", counted_step)
    with pytest.raises(KilledError):
        runner.run_here(config, execution)
    result = runner.run_here(config, execution)
    assert [k for k in taken if k != "killed"] == list(range(result.about["steps"]))
    assert left(config, tmp_path / "whole") == left(config, tmp_path / "stopped")


@pytest.mark.parametrize("size", [0, 1500, 12_000])
def test_a_full_disk_is_said_and_the_run_goes_on(size, config, tmp_path, monkeypatch):
    """At the log or at the first checkpoint: nothing stands in for a result."""
    monkeypatch.setattr(runner, "RUNS", tmp_path / "whole")
    runner.run(config, EXECUTION)
    monkeypatch.setattr(runner, "RUNS", tmp_path / "full")
    with full_disk(size), pytest.raises(OSError, match=r"it cannot be written .*File too large") as caught:
        runner.run(config, EXECUTION)
    assert str(tmp_path / "full") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert runner.stored(config) is None
    runner.run(config, EXECUTION)
    assert left(config, tmp_path / "full") == left(config, tmp_path / "whole")
    assert not [path for path in (tmp_path / "full" / config.key()).iterdir() if path.name.startswith(".")]


def test_a_disk_that_is_full_at_the_very_end(config, tmp_path, monkeypatch):
    """The last of a run's files: what is there is no result, and the training is not lost."""
    monkeypatch.setattr(runner, "RUNS", tmp_path)

    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"cannot be written \(No space left on device\)"):
        patch.setattr(runner, "seal", full)
        runner.run(config, EXECUTION)
    assert runner.stored(config) is None
    assert runner.run(config, EXECUTION).about["resumed"]


def test_a_checkpoint_that_is_taken_up_holds_what_was_written(tmp_path):
    """With one byte of its parts changed it is seen to be damaged, or reads as before; torch takes other numbers."""
    path, content = tmp_path / LAST, {"state": {"w": torch.arange(9.0).reshape(3, 3), "b": torch.zeros(2)}, "epoch": 3}
    AtomicCheckpoints().save_checkpoint(content, path)
    whole, refused = path.read_bytes(), 0
    assert resumable(path)
    assert path.read_bytes() == whole
    for k in range(0, whole.find(b"PK\x01\x02"), 3):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            taken = resumable(path)
        refused += not taken
        assert taken == path.exists()
        if taken:
            read = torch.load(path, weights_only=True)
            assert read["epoch"] == 3
            assert all(torch.equal(read["state"][name], content["state"][name]) for name in "wb")
    assert refused > 100
    path.unlink(missing_ok=True)
    assert not resumable(path)


@pytest.mark.parametrize("text", [b"", b"PK\x03\x04 half of a file", b"no checkpoint"])
def test_a_damaged_checkpoint_starts_the_run_anew(config, tmp_path, monkeypatch, text):
    monkeypatch.setattr(runner, "RUNS", tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runner, "seal", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        runner.run(config, EXECUTION)
    (last,) = tmp_path.glob(f".{config.key()}*/{LAST}")
    last.write_bytes(text)
    with pytest.warns(UserWarning, match=r"last\.ckpt is damaged .*: this run starts anew"):
        result = runner.run(config, EXECUTION)
    assert not result.about["resumed"]
