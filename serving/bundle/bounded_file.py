"""A file that promises no more than it has."""

import os
from typing import BinaryIO

from serving.bundle.refused_bundle import require


class BoundedFile:
    """A file of which nobody asks for more than there is, so no length makes memory be taken."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is a real one: the system knows its size."""
        self._file, self._size = file, os.fstat(file.fileno()).st_size
        self.readline = file.readline

    def read(self, size: int) -> bytes:
        """Read exactly so many bytes, or refuse."""
        require(0 <= size <= self._size - self._file.tell(), "it ends too soon")
        return self._file.read(size)
