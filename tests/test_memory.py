"""Freed memory stays with the process: the same arrays again get no new pages from the system."""

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


def pages(mode: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", PAGES_OF_FIVE_ARRAYS, mode], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")
def test_arrays_that_come_and_go_cost_pages_no_more():
    assert 10 * pages("kept") < pages("given back")


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
