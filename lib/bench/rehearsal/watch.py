"""A stage in a process of its own: how long it takes, and how much memory of its own it has at most.

Its own are the pages that nothing but the process needs (`own_memory`); pages of mapped files, such as those of a
store, are the system's to take back. Where the system does not tell (it is Linux that does), memory is NaN.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.errors import TrainingError
from lib.machine import own_memory
from lib.paths import ROOT

EVERY = 0.05  # seconds between two looks at a process
GIB = 2.0**30


@dataclass
class Watched:
    """What a process took.

    Attributes:
        seconds: from its start to its end.
        processor_seconds: that processors worked for it.
        peak: GiB of its own memory, at most.
        peak_before: the same until the moment that ``begun`` told; NaN where it did not.
        begun_after, processor_before: seconds, and processor seconds, from the start to that moment.
        marked: processor seconds from the start until what ``begun`` tells was last seen to grow.
        last: the number that ``begun`` gave then.
        killed: whether it was killed because ``enough`` said so.
        output: what it wrote.
    """

    seconds: float = 0.0
    processor_seconds: float = float("nan")
    peak: float = float("nan")
    peak_before: float = float("nan")
    begun_after: float = float("nan")
    processor_before: float = float("nan")
    marked: float = float("nan")
    last: int = 0
    killed: bool = False
    output: str = ""

    def answer(self) -> dict[str, Any]:
        """The last line of the output, which is JSON."""
        answer: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return answer


def watch(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    enough: Callable[[], bool] = lambda: False,
    begun: Callable[[], int] = lambda: 0,
) -> Watched:
    """Run ``python`` with ``arguments`` to its end, or until ``enough`` and then SIGKILL.

    Args:
        arguments: of the interpreter.
        environment: of the process.
        log: the file for what it writes.
        enough: asked a few times a second whether to kill it.
        begun: asked likewise; what is to be told apart in ``peak_before`` has begun when it gives more than 0.

    Raises:
        TrainingError: it ended with an error; the message has its last line and names the log.
    """
    seen, started = Watched(), time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=dict(environment), stdout=file, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                _look(seen, process.pid, started, begun)
                if seen.killed:
                    break
                if enough():
                    seen.killed = True  # after one more look
                else:
                    time.sleep(EVERY)
        finally:
            process.kill()
            process.wait()
    seen.seconds, seen.output = time.monotonic() - started, log.read_text(encoding="utf-8", errors="replace")
    if process.returncode and not seen.killed:
        last = (seen.output.strip().splitlines() or [""])[-1]
        raise TrainingError(f"{' '.join(arguments)} ended with {process.returncode}: {last} (all of it: {log})")
    return seen


def _look(seen: Watched, pid: int, started: float, begun: Callable[[], int]) -> None:
    memory, worked = own_memory(pid) / GIB, processor_seconds(pid)
    if memory == memory:  # not NaN
        seen.peak = max(memory, seen.peak) if seen.peak == seen.peak else memory
        seen.processor_seconds = worked
    now = begun()
    if now > seen.last:
        if not seen.last:
            seen.begun_after, seen.peak_before = time.monotonic() - started, seen.peak
            seen.processor_before = seen.processor_seconds
        seen.last, seen.marked = now, seen.processor_seconds


def processor_seconds(pid: int) -> float:
    """Seconds that processors worked for a process (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
