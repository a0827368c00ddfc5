"""Break small valid files of every reader, byte by byte, and see that nothing is lost without a word.

``python tests/data/readers/fuzz.py --seconds 3600`` runs for an hour. A read may give all that was in the file, give
other values where a byte of a value was changed (no text or bare array could tell), or raise one `DataError` of one
line. Anything else counts: a raw exception, a molecule, conformation or forces that are missing without an error, a
read that takes longer than `LONGEST`, a file that reading changed.
"""

import argparse
import faulthandler
import math
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
from samples import SAMPLES, read

from lib.data.readers.molecule import Molecule
from lib.errors import DataError

LONGEST = 20  # seconds of the processor: on a busy machine a read may take far longer
FRAME = b"\n3\n"  # how a frame of the samples begins in xyz
RIGHT, OTHER, REFUSED, RAW, LOST, HANG, CHANGED = "right", "other values", "refused", "raw", "lost", "hang", "changed"
WRONG = (RAW, LOST, HANG, CHANGED)


class _TooLongError(BaseException):
    """Raised by the alarm; no reader may catch it."""


def counted(molecules: list[Molecule]) -> tuple[int, bool]:
    """How many conformations there are, and whether all molecules have forces."""
    return sum(len(m.energy) for m in molecules), all(m.forces is not None for m in molecules)


def broken(content: bytes, random: Random) -> bytes:
    """``content`` with one byte changed (three times in four), or cut.

    It is not cut at the end of a frame of xyz: such a file is whole, and no reader can tell that it was longer.
    """
    if random.random() < 0.25:
        place = random.randrange(len(content))
        while FRAME in content[place - 1 : place + len(FRAME)]:
            place = random.randrange(len(content))
        return content[:place]
    place = random.randrange(len(content))
    return content[:place] + bytes([content[place] ^ random.randrange(1, 256)]) + content[place + 1 :]


def verdict(name: str, path: Path, whole: list[Molecule]) -> tuple[str, str]:
    """How reading ``path``, a broken copy of the sample ``name``, ended, and in which words.

    Args:
        name: of the sample.
        path: of the broken copy.
        whole: what is in the sample.
    """
    content = path.read_bytes()
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    faulthandler.dump_traceback_later(60 * LONGEST, exit=True)  # a library that never comes back ends all
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            molecules = read(name, path)
    except DataError as error:
        molecules, told = None, str(error)
    except _TooLongError:
        return HANG, ""
    except Exception as error:
        return RAW, repr(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    if path.read_bytes() != content:
        return CHANGED, ""
    if molecules is None:
        return (RAW, f"several lines: {told!r}") if "\n" in told else (REFUSED, told)
    if counted(molecules) != counted(whole):
        return LOST, f"{counted(molecules)} of {counted(whole)}"
    return (RIGHT if told_by(molecules) == told_by(whole) else OTHER), ""


def told_by(molecules: list[Molecule]) -> list[tuple]:
    """All that a reader says, as bytes."""
    arrays = ([m.z, m.charges, m.positions, m.energy, m.forces] for m in molecules)
    return [tuple(np.asarray(0 if array is None else array).tobytes() for array in each) for each in arrays]


def _stop(*_: object) -> None:
    raise _TooLongError


def fuzz(
    names: list[str], seed: int, folder: Path, seconds: float = math.inf, rounds: float = math.inf
) -> tuple[Counter, list[str]]:
    """Break and read the samples ``names`` in turn for so many seconds, or so many times.

    Returns:
        How often each verdict was given, and a line for each that is in `WRONG`.
    """
    random, counts, complaints = Random(seed), Counter(), []
    samples = {}
    for name in names:
        path = SAMPLES[name][1](folder / name)
        samples[name] = path.read_bytes(), read(name, path)
    end, done = time.monotonic() + seconds, 0
    while time.monotonic() < end and done < rounds:
        done += 1
        for name, (content, whole) in samples.items():
            path = folder / name
            path.write_bytes(broken(content, random))
            said, words = verdict(name, path, whole)
            counts[said] += 1
            if said in WRONG:
                saved = folder / f"{said}-{len(complaints)}-{name}"
                saved.write_bytes(path.read_bytes())
                complaints.append(f"{said} {saved}: {words}")
    return counts, complaints


def main() -> int:
    """Fuzz all samples and say what came of it; 0 where nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", nargs="+", default=list(SAMPLES), choices=list(SAMPLES))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    counts, complaints = fuzz(options.samples, options.seed, folder, options.seconds)
    sys.stdout.writelines(line + "\n" for line in complaints)
    told = ", ".join(f"{counts[key]} {key}" for key in (RIGHT, OTHER, REFUSED, *WRONG))
    sys.stdout.write(f"{sum(counts.values())} reads: {told}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
