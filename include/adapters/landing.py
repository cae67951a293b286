"""The landing folder: where deliveries wait, are claimed, and end in archive or quarantine.

The folder is the truth about what waits; whoever wakes a run only rings a bell. A file is claimed
by one atomic rename and never deleted. This module is imported by the triggerer, so it imports
nothing heavy.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

POLL_SECONDS = 1.0
DONE = ".done"
_TEMPORARY = (".part", ".tmp", "~", DONE)
Sight = dict[str, tuple[int, int]]
"""File name to size in bytes and modification time in nanoseconds."""


@dataclass(frozen=True)
class Delivery:
    """A claimed file and the digest of its bytes."""

    path: Path
    digest: str

    @property
    def name(self) -> str:
        """The name that it was dropped under; claiming put the time of arrival before it."""
        return self.path.name.partition("-")[2]


def look(folder: Path) -> Sight:
    """Return the files that may be deliveries: no subfolders, hidden or temporary names."""
    if not folder.is_dir():
        return {}
    found: Sight = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith(_TEMPORARY):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:  # claimed or withdrawn while we looked
            continue
        if path.is_file():
            found[path.name] = (status.st_size, status.st_mtime_ns)
    return found


def settled(folder: Path, before: Sight, now: Sight) -> list[str]:
    """Return the names in `now` whose writer is done.

    Done means: a `NAME.done` marker, or the same size and modification time in two looks at least
    a poll apart.
    """
    return [
        name
        for name, fingerprint in now.items()
        if before.get(name) == fingerprint or (folder / f"{name}{DONE}").exists()
    ]


class Landing:
    """One spec's landing folder, and the archive and quarantine beside its table."""

    def __init__(self, folder: Path, lake: Path) -> None:
        """`folder` is where people drop files, `lake` the spec's folder in the lake."""
        self.folder = folder
        self._claimed = folder / ".claimed"
        self._archive = lake / "archive"
        self.quarantine = lake / "quarantine"

    def claim(self) -> list[Delivery]:
        """Take every settled file, and those that a run that died had taken, oldest first."""
        before = look(self.folder)
        if before:
            time.sleep(POLL_SECONDS)
        for name in settled(self.folder, before, look(self.folder)):
            self._take(name)
        taken = self._claimed.iterdir() if self._claimed.is_dir() else ()
        oldest_first = sorted(taken, key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [Delivery(path, _sha256(path)) for path in oldest_first]

    def delivery(self, digest: str) -> Delivery | None:
        """Return the claimed delivery of this digest, None once it is archived."""
        taken = self._claimed.iterdir() if self._claimed.is_dir() else ()
        return next((Delivery(path, digest) for path in taken if _sha256(path) == digest), None)

    def archived(self, digest: str) -> bool:
        """Say whether a delivery of this digest was ingested to its end."""
        return (self._archive / digest).is_dir()

    def archive(self, delivery: Delivery) -> Path:
        """Put a committed delivery under its digest."""
        return _move(delivery.path, self._archive / delivery.digest / delivery.name)

    def refuse(self, delivery: Delivery, reason: str) -> Path:
        """Put a refused delivery under its digest, its reason beside it."""
        folder = self.quarantine / delivery.digest
        _write(folder / "reason.txt", reason + "\n")
        return _move(delivery.path, folder / delivery.name)

    def write_quarantine(self, digest: str, table: str) -> Path:
        """Write a batch's refused rows, as CSV text, whole or not at all."""
        return _write(self.quarantine / digest / "rows.csv", table)

    def _take(self, name: str) -> None:
        self._claimed.mkdir(parents=True, exist_ok=True)
        source = self.folder / name
        # Two deliveries may bear the same name: the time of arrival keeps them apart.
        source.rename(self._claimed / f"{time.time_ns()}-{name}")
        (self.folder / f"{name}{DONE}").unlink(missing_ok=True)


@contextmanager
def lines(delivery: Delivery) -> Iterator[TextIO]:
    """Open a delivery as UTF-8 text, with or without BOM; bad bytes become surrogate escapes."""
    with delivery.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield file


def raw_lines(delivery: Delivery, numbers: Iterable[int]) -> dict[int, str]:
    """Return the text of the lines with these numbers; the first line is 1."""
    wanted = set(numbers)
    with lines(delivery) as file:
        return {i: text.rstrip("\r\n") for i, text in enumerate(file, 1) if i in wanted}


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    return target


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, errors="surrogateescape")
    partial.replace(path)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
