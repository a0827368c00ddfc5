"""Memory that training gives back and asks for again stays with the process.

Arrays of tens of MiB come and go with every step. The GNU C library returns each to the system and gets it again,
cleared page by page: on large molecules up to a quarter of a step (`lib/bench/README.md`). Numbers do not change.
"""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h of the GNU C library
TOP_PAD = 64 * 2**20  # bytes by which the heap grows at least


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
