"""Follow the logs of all components as one stream."""

import time
from collections.abc import Iterator
from pathlib import Path

_LAST_BYTES = 2_000
_POLL_SECONDS = 0.3


class FollowedLog:
    """One growing log; a file cut by rotation is read again from its start."""

    def __init__(self, path: Path) -> None:
        """Begin near the end of the file, at the start of a line."""
        self.name = path.stem
        self._path = path
        size = path.stat().st_size
        self._offset = max(0, size - _LAST_BYTES)
        self._partial = b""
        self._skip_first = self._offset > 0

    def lines(self) -> list[str]:
        """Return the whole lines written since the last call."""
        size = self._path.stat().st_size
        if size < self._offset:
            self._offset, self._partial = 0, b""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read(size - self._offset)
        self._offset += len(chunk)
        *whole, self._partial = (self._partial + chunk).split(b"\n")
        if self._skip_first and whole:
            self._skip_first, whole = False, whole[1:]
        return [line.decode(errors="replace") for line in whole]


def follow(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (component, line) without end, from every log that is or comes to be in the folder."""
    followed: dict[Path, FollowedLog] = {}
    while True:
        for path in sorted(folder.glob("*.log")):
            log = followed.setdefault(path, FollowedLog(path))
            for line in log.lines():
                yield log.name, line
        time.sleep(_POLL_SECONDS)
