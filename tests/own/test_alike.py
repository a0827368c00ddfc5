"""Conformations that are the same however they are turned, mirrored, numbered and rounded, and those that are not."""

import numpy as np
import pytest

from lib.own.duplicates import are_among, described, first_alike, first_equal


@pytest.fixture
def cloud():
    """Thirty conformations of a molecule of nine atoms, thermally apart."""
    rng = np.random.default_rng(0)
    return 2 * rng.normal(size=(9, 3)) + 0.05 * rng.normal(size=(30, 9, 3)), np.array([6, 6, 6, 8, 1, 1, 1, 1, 1])


def moved(x, z, rng):
    """Each of ``x`` turned or mirrored, shifted, its like atoms in another order."""
    turns = np.linalg.qr(rng.normal(size=(len(x), 3, 3)))[0]
    order = np.concatenate([rng.permutation(np.flatnonzero(z == element)) for element in (6, 8, 1)])
    return (x @ turns + rng.normal(size=(len(x), 1, 3)))[:, order]


def test_moved_copies_are_known(cloud):
    x, z = cloud
    copies = moved(x, z, np.random.default_rng(1))
    assert are_among(described(x, z), described(copies, z)).all()
    first = first_alike(described(np.concatenate([x, copies[::-1]]), z))
    assert first.tolist() == [*range(30), *range(29, -1, -1)]


@pytest.mark.parametrize(("size", "same"), [(5e-4, True), (0.05, False)])
def test_small_moves_alone_are_the_same(cloud, size, same):
    x, z = cloud
    away = x + np.random.default_rng(2).uniform(-size, size, x.shape)
    assert (are_among(described(away, z), described(x, z)) == same).all()


def test_one_atom_moved_is_another_conformation(cloud):
    x, z = cloud
    away = np.repeat(x[:1], len(z), axis=0)
    away[np.arange(len(z)), np.arange(len(z))] += 0.05
    assert not are_among(described(away, z), described(x[:1], z)).any()
    assert first_alike(described(away, z)).tolist() == list(range(len(z)))
    rows = np.repeat(described(x[:1], z), 28, axis=0)
    rows[np.arange(1, 28), np.arange(27)] += 0.05  # another length each
    assert first_alike(rows).tolist() == list(range(28))
    assert are_among(rows, rows[:1]).tolist() == [True] + 27 * [False]


def test_many_copies_of_one_frame(cloud):
    x, z = cloud
    first = first_alike(described(np.concatenate([x[:2], np.repeat(x[1:2], 5000, 0), x[2:]]), z))
    assert (first[1:5002] == 1).all()
    assert first[5002:].tolist() == list(range(5002, 5030))


def test_elements_count(cloud):
    x, z = cloud
    other = np.array([8, 6, 6, 6, 1, 1, 1, 1, 1])
    assert not are_among(described(x, z), described(x, other)).any()


def test_nothing_is_among_nothing(cloud):
    rows = described(*cloud)
    assert are_among(rows, rows[:0]).tolist() == [False] * 30
    assert are_among(rows[:0], rows).tolist() == []


def test_a_chain_of_like_ones_is_not_equal_to_its_first():
    """Each is 1.5 mÅ from the one before it."""
    rows = np.tile(np.array([[1.0, 2.0, 3.0]]), (4, 2)) + 1.5e-3 * np.arange(4)[:, None]
    assert first_alike(rows).tolist() == [0, 0, 0, 0]
    assert first_equal(rows).tolist() == [0, 0, 2, 3]
