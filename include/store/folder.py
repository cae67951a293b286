"""Files in a folder on a disk.

The root may be a symbolic link, because operators place it where they like. Below the root no
symbolic link is followed: whoever may write to a landing folder must not be able to make this
process read, overwrite or list files elsewhere. So each folder below it is opened relative to its
parent (openat with O_NOFOLLOW), and only regular files are opened to read. Hard links are files;
`fs.protected_hardlinks` refuses those to what their maker may not read.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from include.store.interface import PIECE, SUBFOLDER, Entry, LeftAlone
from include.store.opened_folder import FILE, linked, locked, step_into

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL})
"""Error numbers which mean that there is no file of this name here."""
_KINDS = {
    stat.S_IFLNK: "a symbolic link, and links are not followed",
    stat.S_IFDIR: SUBFOLDER,
    stat.S_IFIFO: "a named pipe and no file",
    stat.S_IFSOCK: "a socket and no file",
    **dict.fromkeys((stat.S_IFBLK, stat.S_IFCHR), "a device and no file"),
}


class Folder:
    """A folder on a disk."""

    def __init__(self, root: Path, below: str = "") -> None:
        """`root` need not exist, the first write creates it; `below` is a path relative to it."""
        self._root = root
        self._below = below

    @property
    def url(self) -> str:
        """The path."""
        return str(self._root / self._below)

    @property
    def local(self) -> "Folder":
        """The folder itself."""
        return self

    def path(self, name: str) -> Path:
        """Return the path of a file, unchecked: only for folders that nobody else writes to."""
        return self._root / self._below / name

    def at(self, name: str) -> "Folder":
        """Return a subfolder."""
        return Folder(self._root, self._full(name))

    def look(self) -> list[Entry]:
        """Return the files directly in the folder."""
        return [one for one in self._listed() if isinstance(one, Entry)]

    def left_alone(self) -> list[LeftAlone]:
        """Return the entries of the folder that are not regular files, or cannot be read."""
        listed = [
            self._unreadable(one) if isinstance(one, Entry) else one for one in self._listed()
        ]
        return [one for one in listed if one is not None]

    def walk(self) -> list[Entry]:
        """Return the files in the folder and below."""
        found: list[Entry] = []
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            with suppress(PermissionError):
                for one in self._listed(prefix):
                    if isinstance(one, Entry):
                        found.append(one)
                    elif one.is_folder:
                        waiting.append(f"{one.name}/")
        return sorted(found, key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        """Return a regular file's size and time; None for a folder, a link, or nothing."""
        try:
            with self._parent(name) as (parent, leaf):
                status = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
        except OSError as error:  # withdrawn while we looked, or a name that no file can have
            if error.errno in _NOT_THERE:
                return None
            raise
        return _entry(name, status) if stat.S_ISREG(status.st_mode) else None

    def open(self, name: str) -> BinaryIO:
        """Open a regular file for reading; FileNotFoundError when there is none of this name."""
        try:
            with self._parent(name) as (parent, leaf):
                file = os.fdopen(os.open(leaf, os.O_RDONLY | FILE, dir_fd=parent), "rb")
        except OSError as error:
            if error.errno in _NOT_THERE or error.errno == errno.ENXIO:  # the latter: a socket
                raise _absent(self.url, name) from error
            raise
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise _absent(self.url, name)
        return file

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        with self.open(name) as file:
            return file.read()

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write to a temporary file, then rename it."""
        with self._whole(name) as file:
            file.writelines([data] if isinstance(data, bytes) else data)

    def create(self, name: str, data: bytes) -> bool:
        """Write to a temporary file, then link it: a link takes no name that is taken."""
        with self._parent(name, make=True) as (parent, leaf):
            return linked(parent, leaf, data) or self.read(name) == data

    def put(self, name: str, source: Path | BinaryIO) -> None:
        """Copy a file in."""
        with self._whole(name) as file:
            if isinstance(source, Path):
                with source.open("rb") as opened:
                    shutil.copyfileobj(opened, file, PIECE)
            else:
                shutil.copyfileobj(source, file, PIECE)

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file out."""
        with self.open(name) as file:
            Folder(path.parent).put(path.name, file)

    def move(self, name: str, to: str, seen: Entry | None = None) -> None:  # noqa: ARG002 - a rename takes what is there
        """Rename a file within this store; missing folders are created."""
        self.move_out(name, self, to)

    def move_out(self, name: str, target: "Folder", to: str) -> None:
        """Rename into another folder; copy and delete when that is on another file system."""
        try:
            self._rename(name, target, to)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self.open(name) as file:
                target.put(to, file)
        self.delete(name)

    def delete(self, name: str) -> None:
        """Unlink a file, and remove the folders below the root that are empty then."""
        with suppress(FileNotFoundError):
            if self.entry(name):
                with self._parent(name) as (parent, leaf):
                    os.unlink(leaf, dir_fd=parent)
        *folders, _ = name.split("/")
        for end in range(len(folders), 0, -1):
            with (
                suppress(OSError),  # not empty, or gone
                self._parent("/".join(folders[:end])) as (parent, leaf),
            ):
                os.rmdir(leaf, dir_fd=parent)

    def _full(self, name: str) -> str:
        return f"{self._below}/{name}".strip("/")

    def _listed(self, prefix: str = "") -> list[Entry | LeftAlone]:
        """Return all entries directly under a prefix; those that cannot be read as `LeftAlone`.

        Empty when there is no such folder.
        """
        try:
            with self._opened(self._full(prefix)) as folder:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - of what is open, not of a path
                return [one for name in names if (one := _asked(folder, name, prefix))]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _unreadable(self, entry: Entry) -> LeftAlone | None:
        try:
            self.open(entry.name).close()
        except FileNotFoundError:
            return None
        except OSError as error:
            return LeftAlone(entry.name, f"a file that cannot be read: {error.strerror}")
        return None

    @contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open a file's folder; yield its descriptor and the file's name. `make` creates it."""
        folder, _, leaf = self._full(name).rpartition("/")
        if leaf in {"", ".", ".."} or "\0" in name:
            raise OSError(errno.EINVAL, "no name for a file", name)
        with self._opened(folder, make=make) as parent:
            yield parent, leaf

    @contextmanager
    def _opened(self, below: str, *, make: bool = False) -> Iterator[int]:
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in filter(None, below.split("/")):
                inner = step_into(folder, part, make=make)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _rename(self, name: str, target: "Folder", to: str) -> None:
        """Rename; repeated when another process has removed the target's empty folder meanwhile."""
        while True:
            with self._parent(name) as (parent, leaf):
                try:
                    with target._parent(to, make=True) as (new_parent, new_leaf):  # noqa: SLF001 - of its own kind
                        os.rename(leaf, new_leaf, src_dir_fd=parent, dst_dir_fd=new_parent)
                        return
                except FileNotFoundError:
                    os.stat(leaf, dir_fd=parent, follow_symlinks=False)

    @contextmanager
    def _whole(self, name: str) -> Iterator[BinaryIO]:
        """Open a temporary file for writing; it gets its name when the block ends without error.

        A second attempt overwrites what a killed one left; a lock of the kernel keeps two apart.
        """
        leaf = name.rpartition("/")[2]
        partial = f".{hashlib.sha256(os.fsencode(leaf)).hexdigest()[:16]}.part"
        while True:
            with self._parent(name, make=True) as (parent, leaf):
                file = locked(parent, partial)
                if file is None:
                    continue
                with file:
                    yield file
                    file.flush()
                    os.rename(partial, leaf, src_dir_fd=parent, dst_dir_fd=parent)
                return


@contextmanager
def write_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a local file for writing; it gets its name when the block ends without error."""
    with Folder(path.parent)._whole(path.name) as file:  # noqa: SLF001 - its other door
        yield file


def _asked(folder: int, name: str, prefix: str) -> Entry | LeftAlone | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:  # withdrawn while we looked
        return None
    except OSError as error:
        return LeftAlone(prefix + name, f"it cannot be looked at: {error.strerror}")
    if stat.S_ISREG(status.st_mode):
        return _entry(prefix + name, status)
    kind = stat.S_IFMT(status.st_mode)
    return LeftAlone(prefix + name, _KINDS.get(kind, "no file"), is_folder=kind == stat.S_IFDIR)


def _entry(name: str, status: os.stat_result) -> Entry:
    return Entry(name, status.st_size, status.st_mtime_ns, "")


def _absent(url: str, name: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such file", f"{url}/{name}")
