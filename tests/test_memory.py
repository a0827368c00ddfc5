"""Freed memory stays with the process, so that the same arrays again get no new pages, until it is given back."""

import platform
import subprocess
import sys

import pytest

from lib.machine import keep_freed_memory
from lib.paths import ROOT

PAGES_OF_FIVE_ARRAYS = """
import resource, sys, torch
from lib.machine import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def round(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(40 * 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
round(20)
print(round(5))
"""

# arrays between which one stays, so that the gaps are not at the end of the heap
KEPT_AND_LEFT = """
import torch
from lib.machine import give_back_large_arrays, keep_freed_memory, own_memory
assert keep_freed_memory()
before = own_memory()
arrays = [torch.ones(10 * 2**20, dtype=torch.uint8) for _ in range(20)]
last = torch.ones(1000)
del arrays
print(own_memory() - before)
give_back_large_arrays()
print(own_memory() - before)
arrays = [torch.ones(10 * 2**20, dtype=torch.uint8) for _ in range(20)]
last = torch.ones(1000)
del arrays
print(own_memory() - before)
"""


def pages(mode: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", PAGES_OF_FIVE_ARRAYS, mode], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")
def test_arrays_that_come_and_go_cost_pages_no_more():
    assert 10 * pages("kept") < pages("given back")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")
def test_what_was_kept_can_be_given_back_and_large_arrays_are_from_then_on():
    kept, left, later = subprocess.run(
        [sys.executable, "-c", KEPT_AND_LEFT], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()  # fmt: skip
    assert float(kept) > 150 * 2**20 > 50 * 2**20 > max(float(left), float(later))


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
