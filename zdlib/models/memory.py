"""Keep large freed blocks of memory for reuse."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Tell glibc not to return freed memory to the system; True if it obeys (elsewhere nothing happens).

    On a CPU, every training step and every forward pass allocates and frees the same hundreds of megabytes. By default
    glibc maps each block anew, and the system clears its pages: a third of a training step's time, half of a light
    network's prediction. Call it before either.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
