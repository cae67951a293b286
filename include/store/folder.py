"""Files in a folder on a disk."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from include.store.door import PIECE, Entry


class Folder:
    """A folder on a disk."""

    def __init__(self, root: Path) -> None:
        """`root` need not be there; it is made by the first write."""
        self.root = root

    @property
    def url(self) -> str:
        """The path."""
        return str(self.root)

    def path(self, name: str) -> Path:
        """Return where a file of this name stands."""
        return self.root / name

    def at(self, name: str) -> "Folder":
        """Return a subfolder."""
        return Folder(self.root / name)

    def look(self) -> list[Entry]:
        """Return the files directly in the folder."""
        try:
            names = sorted(path.name for path in self.root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [found for name in names if (found := self.entry(name))]

    def walk(self) -> list[Entry]:
        """Return the files in the folder and below."""
        paths = (Path(folder, name) for folder, _, names in os.walk(self.root) for name in names)
        relative = sorted(path.relative_to(self.root).as_posix() for path in paths)
        return [found for name in relative if (found := self.entry(name))]

    def entry(self, name: str) -> Entry | None:
        """Return a file; a folder is none."""
        path = self.root / name
        try:
            status = path.stat()
        except OSError as error:  # withdrawn while we looked, or a name that no file can have
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
                return None
            raise
        if not path.is_file():
            return None
        return Entry(name, status.st_size, status.st_mtime_ns, "")

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write under a temporary name, then rename."""
        with whole(self.root / name) as file:
            file.writelines([data] if isinstance(data, bytes) else data)

    def put(self, name: str, path: Path) -> None:
        """Copy a file in."""
        with whole(self.root / name) as file, path.open("rb") as source:
            shutil.copyfileobj(source, file, PIECE)

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file out."""
        Folder(path.parent).put(path.name, self.root / name)

    def move(self, name: str, to: str, seen: Entry | None = None) -> None:  # noqa: ARG002 - a rename takes what is there
        """Rename."""
        self.move_out(name, self, to)

    def move_out(self, name: str, target: "Folder", to: str) -> None:
        """Rename into another folder, or copy and delete where that lies on another disk."""
        source, new = self.root / name, target.root / to
        try:
            _renamed(source, new)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            target.put(to, source)
        self.delete(name)

    def delete(self, name: str) -> None:
        """Unlink, and drop the folders below the root that this leaves empty."""
        path = self.root / name
        if self.entry(name):
            path.unlink(missing_ok=True)
        for parent in path.relative_to(self.root).parents[:-1]:
            with suppress(OSError):  # not empty, or gone
                (self.root / parent).rmdir()


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Open a local file for writing that appears under its name when the block ends well.

    The temporary name follows from the name, so a repeated attempt leaves nothing behind; a lock
    keeps two writers from sharing it, and falls with its holder.
    """
    short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    partial = path.with_name(f".{short}.part")
    with _locked(partial) as file:
        yield file
        file.flush()
        partial.replace(path)


def _locked(partial: Path) -> BinaryIO:
    while True:
        partial.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Who waited here may hold what another writer has given its name by now.
        with suppress(FileNotFoundError):
            if os.path.samestat(partial.stat(), os.fstat(file.fileno())):
                file.truncate(0)
                return file
        file.close()


def _renamed(source: Path, target: Path) -> None:
    """Rename, making the target's folder; again when another process dropped that as empty."""
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except FileNotFoundError:
            if not source.exists():
                raise
        else:
            return
