"""Keep freed memory for the next array, instead of giving it back to the system and asking for it again.

Training makes and frees arrays of the same sizes over and over. The allocator of glibc returns large ones to the system
at once, and every page of the next one then costs a page fault: more time than the arithmetic on it. Three settings
make it keep up to 1 GiB of freed memory. They hold for the whole process, so also for other libraries in it, and are
made when tinytorch is imported; `TINYTORCH_MALLOC=default` in the environment leaves the allocator as it is. On systems
without glibc (macOS, Windows, Alpine) nothing is changed.
"""

import ctypes
import os

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2  # from malloc.h
_GIB, _MIB = 1 << 30, 1 << 20


def keep_freed_memory():
    """Make the settings; whether they were made. Nothing is done without glibc or where the environment says so."""
    if os.environ.get("TINYTORCH_MALLOC") == "default" or not _has_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # blocks below this size come from the heap, which can be kept; glibc before 2.35 takes no more than 32 MiB
    heap = mallopt(_MMAP_THRESHOLD, _GIB) or mallopt(_MMAP_THRESHOLD, 32 * _MIB)
    return bool(heap and mallopt(_TRIM_THRESHOLD, _GIB) and mallopt(_TOP_PAD, 64 * _MIB))


def _has_glibc():
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # as Windows, macOS and musl say no
        return False
