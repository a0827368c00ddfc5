"""A seeded sample of what `fuzz.py` does for hours: broken files are read whole, or refused in one line."""

import pytest
from fuzz import OTHER, REFUSED, RIGHT, WRONG, broken, fuzz
from samples import SAMPLES, read

ROUNDS = 60  # of each sample; all together about 20 s


@pytest.mark.parametrize("name", list(SAMPLES))
def test_nothing_is_lost_without_a_word(name, tmp_path):
    counts, complaints = fuzz([name], seed=2023, folder=tmp_path, rounds=ROUNDS)
    assert not complaints
    assert not any(counts[key] for key in WRONG)
    assert counts[RIGHT] + counts[OTHER] + counts[REFUSED] == ROUNDS
    assert counts[REFUSED] > ROUNDS // 10  # every fourth file is cut


def test_whole_samples_are_read(tmp_path):
    for name, (_, make, _) in SAMPLES.items():
        molecules = read(name, make(tmp_path / name))
        assert sum(len(m.energy) for m in molecules) >= 8, name
        assert all(m.forces is not None for m in molecules) == (name not in ("ani1.h5", "own.h5")), name


def test_fuzz_sees_a_loss(tmp_path, monkeypatch):
    """A reader that leaves out its last molecule of a broken file is noticed."""
    calls = []

    def forgetful(name, path):
        calls.append(path)
        molecules = read(name, path)
        return molecules if len(calls) == 1 else molecules[:-1]

    monkeypatch.setattr("fuzz.read", forgetful)
    monkeypatch.setattr("fuzz.broken", lambda content, _: content)
    counts, complaints = fuzz(["ani1.h5"], seed=0, folder=tmp_path, rounds=3)
    assert counts["lost"] == len(complaints) == 3


def test_broken_differs_and_is_reproducible():
    from random import Random

    content = bytes(range(256))
    made = [broken(content, Random(seed)) for seed in range(50)]
    assert all(each != content for each in made)
    assert made == [broken(content, Random(seed)) for seed in range(50)]
