"""Provenance of a number: commit, versions, hardware, time."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lib.machine import hardware
from lib.paths import ROOT

COMMIT = "DENOISING_COMMIT"  # environment variable: the commit of a copy without git, as on clusters and in containers
PACKAGES = ("torch", "lightning", "numpy", "h5py")


def provenance(device: str = "cuda") -> dict[str, str]:
    """Commit, package versions, `hardware`, and the time in UTC."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "hardware": hardware(device),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def of_runs(abouts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The `provenance` of several runs from their ``about``, all values where they differ; their seeds; and the commit
    that shows them now.
    """
    abouts = list(abouts)
    keys = [key for key in abouts[0]["provenance"] if key != "time"]
    out = {key: ", ".join(sorted({about["provenance"][key] for about in abouts})) for key in keys}
    times = sorted(about["provenance"]["time"] for about in abouts)
    seeds = sorted({about["config"]["seed"] for about in abouts})
    return out | {
        "runs": str(len(abouts)),
        "seeds": ", ".join(map(str, seeds)),
        "trained": f"{times[0]} to {times[-1]}",
        "shown by": commit(),
    }


@cache
def commit() -> str:
    """The git commit of this checkout when a process first asks, with ``+changes`` where ``lib`` differs from it.

    A process keeps the code that it began with, whatever is committed while it runs. Outside git, and in a copy inside
    another checkout, the commit is what the environment variable `COMMIT` says, or ``unknown``.
    """
    fallback = os.environ.get(COMMIT) or "unknown"
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return fallback
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no", "--", "lib") else "")
    except (OSError, subprocess.CalledProcessError):
        return fallback


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
