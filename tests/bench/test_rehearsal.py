"""The rehearsal of the paper's size: its files are read, its stages watched, and a killed run is seen to go on."""

import json
import math
import os

import numpy as np
import pytest

from lib.bench.rehearsal import files, inside, smiles, stages, training
from lib.bench.rehearsal.stages import Rehearsal, rehearse, remove
from lib.bench.rehearsal.watch import watch
from lib.data import datasets
from lib.data.readers import READERS
from lib.errors import TrainingError
from lib.machine import own_memory
from lib.paths import DATA
from lib.report.pages.rehearsal import OPEN

TINY = 1e-4
ELEMENTS = {1, 3, 6, 7, 8, 9, 11, 12, 15, 16, 17, 19, 20, 35, 53}  # of SPICE 1.1
LINUX = pytest.mark.skipif(math.isnan(own_memory()), reason="the system does not tell a process's own memory")


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A folder for published data sets, which the known data sets are taken from."""
    monkeypatch.setitem(datasets.FOLDERS, "official", tmp_path / "official")
    monkeypatch.setattr(inside, "OFFICIAL", tmp_path / "official")
    return tmp_path / "official"


@pytest.mark.parametrize("name", files.CONFORMATIONS)
def test_generated_files_are_read_and_have_their_share_of_conformations(name, official):
    inside._generate(name, str(TINY))
    molecules = list(READERS[name](official / name))
    count = sum(len(molecule.energy) for molecule in molecules)
    least = 20 * len(molecules) if name == "md22" else 120 if name == "iso17" else 0  # so that parts are not empty
    assert count == pytest.approx(max(TINY * files.CONFORMATIONS[name], least), rel=0.05)
    assert set(inside._verify(name)) == {"files", "as published"}
    assert inside._verify(name)["files"] == inside._verify(name)["as published"] > 0
    frame = molecules[-1].positions[0]
    near = np.linalg.norm(frame[:, None] - frame, axis=-1) < 5.0
    assert near.mean() > min(0.5, 8 / len(frame))  # as dense as molecules


def test_a_changed_file_is_noticed(official):
    inside._generate("ani1x", str(TINY))
    with open(official / "ani1x" / "ani1x-release.h5", "ab") as file:
        file.write(b"\0")
    assert inside._verify("ani1x")["as published"] == 0


def test_spice_has_enough_molecules_of_all_its_elements():
    names = list(smiles.molecules())
    assert len(names) == len(set(names)) >= files.SPICE_MOLECULES
    numbers = [smiles.mapped(name)[1] for name in names[:300]]
    assert set(np.concatenate(numbers)) == ELEMENTS
    assert min(map(len, numbers)) >= 2 and max(map(len, numbers)) <= 50


def test_the_molecules_of_ani1_and_the_formulas_of_ani1x_are_different_and_as_many_as_published():
    assert sum(files.ANI1_MOLECULES.values()) == 57_462
    names = [name for name, _ in files.formulas()]
    assert len(names) == len(set(names)) > 1000
    assert max(len(z) for _, z in files.formulas()) == 63


def test_stages_inside_give_what_the_record_needs(official, monkeypatch):
    monkeypatch.setattr(inside, "SECONDS", 0.05)
    for name in files.CONFORMATIONS:
        inside._generate(name, str(TINY))
    opened = inside._open()
    assert opened["ani1"]["conformations"] == pytest.approx(TINY * files.CONFORMATIONS["ani1"], rel=0.05)
    split = inside._split()
    # 95 % of what the strict split leaves, which is about 90 %
    both = opened["ani1"]["conformations"] + opened["ani1x"]["conformations"]
    assert split["train"] == pytest.approx(0.95 * 0.9 * both, rel=0.05)
    assert inside._epoch()["conformations/s"] > 0
    assert inside._systems() == {"stores": 7}


@LINUX
def test_a_process_is_watched_to_its_end(tmp_path):
    program = "import json; held = bytearray(200 * 2**20); print('first'); print(json.dumps({'a': len(held)}))"
    seen = watch(["-c", program + "; import time; time.sleep(0.3)"], os.environ, tmp_path / "log")
    assert 0.15 < seen.peak < 0.4 and seen.answer() == {"a": 200 * 2**20} and not seen.killed
    assert seen.processor_seconds < seen.seconds


def test_a_process_is_killed_when_it_has_done_enough(tmp_path):
    done = tmp_path / "done"
    program = f"import pathlib, time; pathlib.Path({str(done)!r}).touch(); time.sleep(60)"
    seen = watch(["-c", program], os.environ, tmp_path / "log", done.exists, lambda: int(done.exists()))
    assert seen.killed and seen.seconds < 30 and seen.begun_after <= seen.seconds


def test_a_stage_that_fails_is_named_with_its_last_line(tmp_path):
    with pytest.raises(TrainingError, match=r"ended with 1: ValueError: no such thing .*log"):
        watch(["-c", "raise ValueError('no such thing')"], os.environ, tmp_path / "log")


def test_a_rehearsal_goes_on_after_the_last_stage_and_removes_what_it_made(tmp_path, monkeypatch):
    ran, said, broken = [], [], [True]

    def second():
        """A stage that fails once."""
        if broken.pop():
            raise TrainingError("it failed")
        ran.append("second")
        return {"seconds": 2.0}

    parts = {"first": lambda: ran.append("first") or {"seconds": 1.0}, "second": second}
    monkeypatch.setattr(Rehearsal, "stages", lambda self: parts)
    monkeypatch.setattr(stages, "bounds", lambda record: {"seconds": (record["second"]["seconds"], 1.5)})
    with pytest.raises(TrainingError, match="it failed"):
        rehearse(Rehearsal(tmp_path / "r"), said.append)
    broken.append(False)
    record = rehearse(Rehearsal(tmp_path / "r"), said.append)
    assert ran == ["first", "second"] and set(record["stages"]) == {"first", "second"}
    assert record == json.loads((tmp_path / "r" / stages.RECORD).read_text())
    assert said[-1] == "BROKEN: seconds: 2, at most 1.5"
    with pytest.raises(ValueError, match=r"has a rehearsal of size 1, not 0.5: name another folder"):
        rehearse(Rehearsal(tmp_path / "r", 0.5), said.append)
    (tmp_path / "r" / "mine.txt").touch()
    remove(tmp_path / "r")
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["mine.txt"]


def test_a_folder_of_yours_is_neither_written_to_nor_emptied(tmp_path, monkeypatch):
    """A rehearsal removes ``official`` and ``cache`` in its folder, so that must be one of its own."""
    monkeypatch.setattr(Rehearsal, "stages", lambda self: pytest.fail("a stage ran"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine").write_text("mine")
    for record in (None, "[]", "no JSON", '{"note": "of another program"}'):
        if record is not None:
            (tmp_path / stages.RECORD).write_text(record)
        with pytest.raises(ValueError, match=r"it is not empty and holds no rehearsal.* name a new folder"):
            rehearse(Rehearsal(tmp_path), lambda text: None)
        remove(tmp_path)
        assert (tmp_path / "cache" / "mine").read_text() == "mine"


def test_bounds_are_those_of_the_stages_they_are_for():
    """Training may have as much memory as its model needs, from its first step on."""
    plain = {"peak (GiB)": 0.5, "processor seconds": 3.0}
    training = {"peak (GiB)": 9.0, "peak before the first step (GiB)": 1.0, "peak when resumed (GiB)": 9.0}
    record = {
        "convert": plain,
        stages.SPLIT: plain | {"split (s)": 4.0},
        stages.PLAN: plain,
        stages.EPOCH: plain | {"first batch (s)": 0.1, "first batch, from the middle (s)": 0.2},
        "pre-train": training | {"lost by the kill (s)": 301.0},
    }
    measured = [value for value, _ in stages.bounds(record).values()]
    assert measured == [1.0, 7.0, 0.2, 301.0]
    assert [value <= limit for value, limit in stages.bounds(record).values()] == [True, True, True, False]


@LINUX
def test_a_killed_run_is_seen_to_go_on_within_its_epoch(tmp_path):
    """Of a small scale; at the paper's size the same function follows the same command."""
    environment = Rehearsal(tmp_path).environment() | {"DENOISING_FRESH": "1"}  # its result is recorded
    arguments = ["-m", "lib", "run", "--scale", "laptop", "--model", "schnet", "--accelerator", "cpu"]
    facts = training.train([*arguments, "--checkpoint-minutes", "0.01"], environment, tmp_path, 2, 0.0, "train")
    assert 0 < facts["resumed at step"] < 1000
    assert 0.05 < facts["peak before the first step (GiB)"] <= facts["peak (GiB)"]
    assert facts["processor seconds a step"] > 0 and facts["lost by the kill (s)"] < 60


def test_the_recorded_rehearsal_is_of_the_papers_size_and_keeps_its_bounds():
    record = json.loads((DATA / "bench" / "rehearsal.json").read_text(encoding="utf-8"))
    assert record["about"]["share"] == 1
    for name, conformations in files.CONFORMATIONS.items():
        assert record["stages"][OPEN][name]["conformations"] == pytest.approx(conformations, rel=0.001)
    for bound, (value, limit) in stages.bounds(record["stages"]).items():
        assert value <= limit, bound
