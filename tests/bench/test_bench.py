"""Benchmarks: equal functions side by side, bounded in memory, and what is counted of work whose cost is known."""

import json
import multiprocessing
from pathlib import Path

import pytest
import torch

from lib import machine
from lib.bench import gpu, measuring, models
from lib.bench.models import Conditions, bench_models, tables
from lib.cli.main import main
from lib.machine import available_memory, denormals_flushed, flush_denormals
from lib.models import PAPER_MODELS


def test_bench_data_runs(tmp_path, capsys):
    assert (
        main(["bench", "data", "--conformations", "20000", "--seconds", "0.2", "--json", str(tmp_path / "b.json")]) == 0
    )
    numbers = json.loads((tmp_path / "b.json").read_text())
    assert numbers["conformations"] == 20000
    assert not abs(numbers["growth of resident memory (MiB)"]) > 1000  # some dozen; NaN where the system does not tell
    assert all(numbers[f"batches {kind} pairs (conformations/s)"] > 0 for kind in ("with", "without"))
    assert "torch_geometric" in capsys.readouterr().out


def numbers_of(arguments, folder):
    """What a benchmark writes."""
    assert main([*arguments, "--json", str(folder / "b.json")]) == 0
    return json.loads((folder / "b.json").read_text())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_models_are_compared_with_equal_functions(tmp_path, capsys):
    """Ours and the textbook version, or the library's, answer alike; every number is there."""
    options = ["--scales", "smoke", "--batch-size", "3", "--seconds", "0"]
    measured = numbers_of(["bench", "models", *options], tmp_path)
    assert len(measured["steps"]) == 2 * len(PAPER_MODELS)
    for step in measured["steps"]:
        assert step["largest difference"] < 1e-5, step
        assert step["molecules"] == 3
        for key in ("conformations/s", "its conformations/s", "ratio", "MFLOP/conformation", "MB/conformation",
                    "share of matrix rate", "peak memory (MiB)"):  # fmt: skip
            assert step[key] > 0, (key, step)
        assert step["MFLOP/conformation"] < step["its MFLOP/conformation"]
    assert measured["about"]["other busy processes"] == 0
    assert measured["about"]["copy rate (GB/s)"] > 0
    assert "concatenated edge inputs" in capsys.readouterr().out


def test_models_alone_and_in_bfloat16(tmp_path):
    """In another precision than float32 there is nothing to stand beside."""
    options = ["--scales", "smoke", "--models", "egnn", "--batch-size", "3", "--seconds", "0"]
    for name, more in (("float32", ["--alone"]), ("bfloat16", ["--precision", "bfloat16"])):
        measured = numbers_of(["bench", "models", *options, *more], tmp_path)
        assert {step["beside"] for step in measured["steps"]} == {"nothing"}
        assert all(step["conformations/s"] > 0 for step in measured["steps"])
        assert {step["ratio"] for step in measured["steps"]} == {None}  # JSON has no NaN
        assert measured["about"]["precision"] == name


def test_a_batch_that_memory_does_not_allow_is_reduced_and_said_to_be():
    measured = bench_models(["smoke"], ["egnn"], Conditions(batch_size=64, seconds=0.0, memory=2.0 * 2**20))
    for step in measured["steps"]:
        assert 1 < step["molecules"] < 64
        assert 0.5 < step["peak memory (MiB)"] < 2.0 * 1.2  # other molecules have other numbers of pairs
        assert step["memory of the whole batch (MiB)"] > 2.0
        assert f"batches of {step['molecules']} instead of 64" in tables(measured)
    free = bench_models(["smoke"], ["egnn"], Conditions(batch_size=8, seconds=0.0))
    assert {step["molecules"] for step in free["steps"]} == {8}
    assert "instead of" not in tables(free)


def test_a_step_may_take_half_of_what_the_machine_has_left(monkeypatch):
    monkeypatch.setattr(models, "available_memory", lambda: 1000)
    assert Conditions().limit() == 500
    assert Conditions(memory=7.0).limit() == 7.0


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="this system does not say how much memory is left")
def test_a_control_group_bounds_the_memory(tmp_path, monkeypatch):
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(machine, "CONTROL_GROUPS", [(tmp_path, limit.name, used.name, "inactive_file")])
    everything = available_memory()
    assert everything > 2**20
    used.write_text("600\n")
    for text, expected in (("1000\n", 400), ("500\n", 0)):
        limit.write_text(text)
        assert available_memory() == expected
    (tmp_path / "memory.stat").write_text("anon 250\nfile 350\nactive_file 150\ninactive_file 200\n")
    assert available_memory() == 100  # what was read from files is given back
    limit.write_text("max\n")
    assert available_memory() > 2**20


def test_operations_bytes_and_denormal_numbers_of_known_work():
    a, b, c = torch.ones(2, 3), torch.ones(3, 5), torch.ones(2, 5)

    def work():
        """Two products, one of them in place; a view; and five denormal numbers of ten."""
        a @ b
        c.addmm_(a, b)
        c.view(10)
        torch.cat([torch.full((5,), 1.5e-38), torch.ones(5)]) * 0.5

    with flush_denormals():
        count = measuring.counted(work)
        assert denormals_flushed()
    assert count.flops == 2 * (2 * 2 * 3 * 5)
    assert count.denormal == 5
    products = 4 * ((6 + 15 + 10) + (10 + 6 + 15 + 10))
    assert count.moved == products + 4 * (5 + 5 + (5 + 5 + 10) + (10 + 10))


def test_works_take_turns_and_the_fastest_time_counts(monkeypatch):
    order, times = [], iter([5.0, 2.0, 1.0, 4.0, 3.0, 6.0])
    monkeypatch.setattr(measuring, "timed", lambda work, device: work() or next(times))
    fastest = measuring.take_turns([lambda: order.append("a"), lambda: order.append("b")], 0.0)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert fastest == [3.0, 1.0]


def test_busy_cores_are_idle_afterwards():
    before = set(multiprocessing.active_children())  # a pool that another test keeps
    with pytest.raises(KeyError), measuring.busy_cores(1):
        (process,) = set(multiprocessing.active_children()) - before
        assert process.is_alive()
        raise KeyError
    assert not process.is_alive()


def test_inference_goes_through_the_calculator(tmp_path, capsys):
    options = ["--scales", "smoke", "--models", "schnet", "egnn", "--sizes", "3", "20", "--seconds", "0"]
    rows = numbers_of(["bench", "inference", *options], tmp_path)["inference with forces"]
    assert [(row["model"], row["atoms"]) for row in rows] == [("SchNet", 3), ("SchNet", 20), ("EGNN", 3), ("EGNN", 20)]
    for row in rows:
        assert row["milliseconds"] > 0
        assert row["in the model"] > 0
    assert "milliseconds" in capsys.readouterr().out


def test_the_gpus_script_runs_without_one(tmp_path, monkeypatch, capsys):
    """Batches are padded and nothing is recorded; a model that cannot be recorded leaves its reason."""
    options = ["--scale", "smoke", "--models", "egnn", "schnet", "--seconds", "0", "--device", "cpu"]
    monkeypatch.setattr(gpu, "BATCHES", (64,))
    compared = gpu._compared
    monkeypatch.setattr(gpu, "_compared", lambda name, *a: fail() if name == "schnet" else compared(name, *a))
    rows = numbers_of(["bench", "gpu", *options], tmp_path)["graphs"]
    assert [row["model"] for row in rows] == ["EGNN"] * 2 + ["SchNet"] * 2
    for row in rows[:2]:
        assert row["graphs: largest difference"] < gpu.CLOSE
        assert row["plain: largest difference"] == 0
        assert row["plain: conformations/s"] / row["graphs: conformations/s"] == pytest.approx(1 / row["graphs: ratio"])
    assert {row["failed"] for row in rows[2:]} == {"operation not permitted when stream is capturing"}
    assert "graphs: ratio" in capsys.readouterr().out


def fail():
    raise RuntimeError("operation not permitted when stream is capturing\nmore")
