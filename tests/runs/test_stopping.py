"""Where training is asked to stop, it stops: the processes that train end with the one that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.cli.main import main
from lib.errors import TrainingError
from lib.runs import runner
from lib.training import fit

WORKER = """
import os, time
from lib.runs import runner
if __name__ == "__main__":
    with runner._pool.__wrapped__(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 60)
        time.sleep(60)
"""


def wait(seconds, _):
    """In place of a run."""
    time.sleep(seconds)


def end(*_):
    """In place of a run, too."""
    os.kill(os.getpid(), signal.SIGKILL)


def lives(number):
    """Whether the process ``number`` is there, and not only its exit status."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before the file was opened, or between that and reading it
        return False


def ends(number, seconds=15):
    """Whether the process ``number`` is gone within so many ``seconds``."""
    deadline = time.monotonic() + seconds
    while lives(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not lives(number)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_no_process_goes_on_training(error, monkeypatch):
    """Ctrl-C and SIGTERM reach the process that waits for the runs."""
    monkeypatch.setattr(runner, "_run_quietly", wait)
    started = []

    def bar(_):
        started.extend(runner._pool(2)._processes)
        raise error

    runner._pool.cache_clear()
    with pytest.raises(error):
        runner._train_all([60, 60], 2, bar, "cpu")
    assert len(started) == 2
    assert all(ends(number) for number in started)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the test looks for processes in /proc")
def test_a_process_that_trains_ends_with_the_one_that_started_it():
    """Killed, that one can tell nobody."""
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as parent:
        number = int(parent.stdout.readline())
        assert lives(number)
        parent.kill()
    assert ends(number)


def test_a_killed_process_is_one_line(monkeypatch):
    """As the system does with one that takes too much memory."""
    monkeypatch.setattr(runner, "_run_quietly", end)
    runner._pool.cache_clear()
    with pytest.raises(TrainingError, match="was killed, perhaps for its memory: take fewer processes"):
        runner._train_all([0, 0], 2, iter, "cpu")


def test_ctrl_c_in_training_is_no_exit():
    """Lightning answers it with sys.exit(1)."""
    with pytest.raises(KeyboardInterrupt), fit.interruptible():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)
    with pytest.raises(SystemExit, match="143"), fit.interruptible():
        sys.exit(143)


def test_after_ctrl_c_the_status_is_130_and_a_line_says_how_to_go_on(monkeypatch, capsys):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lib.runs.integrity.find_whole", stop)
    assert main(["export", "0123abcd"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_sigterm_is_status_143():
    """The handler ends the process as an exception does, so that whoever waits for others can end them."""
    code = "import os, signal\nfrom lib.cli import main as cli\n"
    code += "cli.app.command('wait')(lambda: os.kill(os.getpid(), signal.SIGTERM))\ncli.main()"
    done = subprocess.run([sys.executable, "-c", code, "wait"], timeout=60, capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM
    assert "the same command goes on" in done.stderr
