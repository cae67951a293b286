"""One file that several readers read, each at a place of its own."""

from io import SEEK_SET, RawIOBase
from threading import Lock
from typing import BinaryIO


class IndependentReader(RawIOBase):
    """A reader of a file that others read too, on other threads as well; it closes nothing."""

    def __init__(self, file: BinaryIO, lock: Lock) -> None:
        """Begin at the start; `lock` is the one that all readers of the file share."""
        super().__init__()
        self._file, self._lock, self._place = file, lock, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that its place can be chosen."""
        return True

    def tell(self) -> int:
        """Return its place."""
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Choose its place and return it."""
        with self._lock:
            self._file.seek(self._place)
            self._place = self._file.seek(offset, whence)
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Return the bytes from there on, fewer at the end only."""
        with self._lock:
            self._file.seek(self._place)
            content = self._file.read(size)
            self._place += len(content)
        return content
