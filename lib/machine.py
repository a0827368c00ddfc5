"""The machine that computes: its processor and cores, threads, freed memory, and denormal floats."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4  # malloc.h of the GNU C library
TOP_PAD = 64 * 2**20  # bytes by which the heap grows at least
LARGE = 8 * 2**20  # bytes, from which on `give_back_large_arrays` gives an array back
MAPPED = 65536  # arrays at once, the C library's default
STATIC = "STATIC_NOTEBOOKS"  # environment variable; not empty: notebooks are executed to be read, nobody is there
CONTROL_GROUPS = [
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
]  # versions 2 and 1: files of what a container may have and of what it has, and the line of memory.stat with the
# part of it that the system takes back when it needs memory


def keep_freed_memory() -> bool:
    """From now on, this process keeps what it frees until it ends.

    Returns:
        Whether the C library can do that; where it is not GNU's, nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, TOP_PAD))  # -1: never
    return all(mallopt(name, value) == 1 for name, value in wanted)


def give_back_large_arrays() -> None:
    """Give the system what this process has freed; from now on also, as soon as it is freed, each array of at least
    `LARGE` bytes that fits into no gap.

    For a process that keeps them (`keep_freed_memory`) and grows nevertheless, since arrays of other sizes do not fit
    into the gaps. It grows no more then: such an array gets pages of its own, which takes time.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_MMAP_MAX, MAPPED)
        libc.malloc_trim(0)


def own_memory(pid: int | str = "self") -> float:
    """Bytes of memory that a process has for itself, without pages of mapped files, which the system can take back.

    NaN where the system does not tell (https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html), or it has ended.
    """
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1:3]
    except OSError:
        return float("nan")
    return float((int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE"))


def hardware(device: str = "cuda") -> str:
    """What computes on torch's ``device``: the GPU, where torch sees one, or the processor and its number of cores."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {available_cores()} cores"


def has_wide_instructions_that_mkl_leaves() -> bool:
    """Whether the processor has AVX-512 and is none of Intel's, on which alone Intel's MKL takes it."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    return " avx512f" in text and "GenuineIntel" not in text


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Bytes that this process may still take without swapping: the system's, or those of its control group.

    Pages of files that were read and are not in use count as free, since the system takes them back
    (https://docs.kernel.org/admin-guide/cgroup-v2.html). Where the system does not say (no Linux), all that the machine
    has.
    """
    if not Path("/proc/meminfo").exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    limits = [1024 * int(lines["MemAvailable"].split()[0])]
    for group, most, used, idle in CONTROL_GROUPS:
        limit = (group / most).read_text().strip() if (group / most).exists() else "max"
        if limit != "max":
            taken = int((group / used).read_text()) - _number_beside(idle, group / "memory.stat")
            limits.append(int(limit) - taken)
    return max(0, min(limits))


def _number_beside(name: str, statistics: Path) -> int:
    """The number in the line that begins with ``name``; 0 where there is no such line or file."""
    lines = statistics.read_text().splitlines() if statistics.exists() else []
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside: a run gives the same bits whatever the number of cores, and as many runs share the cores.

    Several threads do not pay for small systems: they wait for one another more than they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flush_denormals(flush: bool = True) -> Iterator[None]:
    """Inside, the processor takes denormal floats (below about 1e-38 in float32) as zero, where it can.

    The second moments of Adam and the tails of Gaussians reach them, and some processors take many times as long for
    each. Code that counts on the number next to zero needs ``flush`` False, which takes them as they are. The setting
    belongs to the calling thread; outside it is as it was before.
    """
    before = denormals_flushed()
    torch.set_flush_denormal(flush)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def denormals_flushed() -> bool:
    """Whether the calling thread takes denormal floats as zero."""
    smallest_normal = sys.float_info.min
    return smallest_normal / 2 == 0
