"""A look at what a library may never come back from, in a child process that is ended after a while.

HDF5 2.0 reads texts of variable length from a heap, and goes round in it for ever where one byte of it is changed; a
signal handler of Python cannot stop it.
"""

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.errors import DataError

LONGEST = 10  # seconds of the processor for one look, which takes less than a millisecond where all is well


def refuse_endless(path: Path, entry: str, looks: Iterable[Callable[[], object]]) -> None:
    """Call each of ``looks`` in a child process, so that the caller may then do the same.

    What they return or raise is of no interest. Where a system has no child processes of this kind, nothing is done.

    Raises:
        DataError: one of them takes more than `LONGEST`, or ends the process.
    """
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if child == 0:
        _look(looks)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        ended = signal.Signals(os.WTERMSIG(status)).name
        raise DataError(path, entry, f"its library neither reads nor refuses it ({ended})", "copy or download it again")


def _look(looks: Iterable[Callable[[], object]]) -> None:
    """In the child: look, and end."""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        for look in looks:
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            try:
                look()
            except Exception:  # the parent will meet it too, and say what it is
                break
    finally:
        os._exit(0)
