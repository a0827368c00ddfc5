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

# what the process has kept of 20 arrays, has left of them, and has of twice as many later on, each time in bytes
KEPT_LEFT_AND_LATER = """
import sys, torch
from lib.machine import give_back_large_arrays, keep_freed_memory, own_memory
def kept(number):
    arrays = [torch.ones(10 * 2**20, dtype=torch.uint8) for _ in range(number)]
    last = torch.ones(1000)  # so that what is free is not at the end of the heap alone
    del arrays
    return own_memory() - before
assert keep_freed_memory()
before = own_memory()
print(kept(20))
if sys.argv[1] == "given back":
    give_back_large_arrays()
print(own_memory() - before)
print(kept(40))
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
@pytest.mark.parametrize("mode", ["kept", "given back"])
def test_a_process_that_gives_large_arrays_back_grows_no_more(mode):
    found = subprocess.run(
        [sys.executable, "-c", KEPT_LEFT_AND_LATER, mode], cwd=ROOT, check=True, capture_output=True, text=True
    )
    kept, left, later = (float(line) / 2**20 for line in found.stdout.split())
    assert kept > 150
    assert (left > 150, later > 350) == (mode == "kept", mode == "kept")
    assert mode == "kept" or (left < 50 and later < 250)  # the gaps of the first 20 may be filled again


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
