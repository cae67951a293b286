"""Memory that requests held, given back to the system when they are answered."""

import ctypes
import logging

LOG = logging.getLogger("serving.memory")
_MMAP_THRESHOLD = -3
"""glibc's number for it, of malloc.h."""
_LARGE_BYTES = 2**20


def give_back_large_blocks() -> None:
    """Have the C library give each large block back to the system when it is freed.

    By itself it keeps blocks as large as those that were freed before: after a few large requests,
    hundreds of MiB that nobody uses and no other process can have.
    """
    try:
        is_set = ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
    except (OSError, AttributeError):
        is_set = False  # another C library, with ways of its own
    if not is_set:
        LOG.info("this C library keeps the memory of large requests as it likes")
