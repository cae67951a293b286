"""Memory that requests held, given back to the system when they are answered."""

import ctypes
import logging

LOG = logging.getLogger("serving.memory")
# glibc's numbers for them, of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 2**23
"""Blocks from here on are the system's again as soon as they are freed. Below, a body of a thousand
rows would cost a fault for each page of it, a quarter of its time."""
_KEPT_BYTES = 2**24
"""What is kept at most for smaller blocks, for each group of threads."""


def give_back_large_blocks() -> None:
    """Have the C library give each large block back to the system when it is freed.

    By itself it keeps blocks as large as those that were freed before: after a few large requests,
    hundreds of MiB that nobody uses and no other process can have.
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
