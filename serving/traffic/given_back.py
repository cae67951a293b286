"""Configures the C library to return the memory of large requests to the operating system."""

import ctypes
import logging

from serving.values.units import MIB

LOG = logging.getLogger("serving.memory")
# glibc's numbers for them, of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 8 * MIB
"""Freed blocks of at least this size are returned at once. With a smaller size a body of 1,000 rows
would cost a page fault for each of its pages, a quarter of its time."""
_KEPT_BYTES = 16 * MIB
"""Most free memory that is kept for smaller blocks, for each of malloc's arenas."""


def give_back_large_blocks() -> None:
    """Make the C library return each large block to the system when it is freed.

    By default malloc raises its threshold to the size of freed blocks: after a few large requests
    it keeps hundreds of MiB that are not used and that no other process can have.
    """
    try:
        library = ctypes.CDLL(None)
        is_set = library.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES) and library.mallopt(
            _TRIM_THRESHOLD, _KEPT_BYTES
        )
    except (OSError, AttributeError):
        is_set = False  # another C library, with ways of its own
    if not is_set:
        LOG.info("this C library keeps the memory of large requests as it likes")
