"""A folder or a bucket behind one small door.

What is written is whole or absent: a folder gets a file under a temporary name and then its own, a
bucket takes an object in one put. Moves may be killed and repeated. Names come from people, so any
name that the place itself can hold is kept as it is. A server that is away is waited for. The
triggerer imports this module, so what a bucket needs is imported when a bucket is opened.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

_PIECE = 16 * 2**20
_LARGEST_COPY = 5 * 10**9
_CLIENT = {"connect_timeout": "5s", "timeout": "60s"}
# A server that is away for 20 s costs little more than 20 s: short pauses, for three minutes.
_RETRY = {
    "max_retries": 200,
    "retry_timeout": timedelta(minutes=3),
    "backoff": {
        "init_backoff": timedelta(seconds=0.1),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}


@dataclass(frozen=True)
class Entry:
    """A file or object: its name, bytes, and what changes when it is written again."""

    name: str
    size: int
    modified: int
    """Nanoseconds since 1970, by the clock of whoever holds the store."""
    tag: str
    """A bucket's ETag; empty in a folder."""


class Store(Protocol):
    """Files under one root; names are relative, their folders parted by `/`."""

    @property
    def url(self) -> str:
        """The root: a path, or s3://bucket/prefix."""

    def at(self, name: str) -> "Store":
        """Return the store of a folder under this one."""

    def look(self) -> list[Entry]:
        """Return the files directly under the root, by name; none when there is no such root."""

    def walk(self) -> list[Entry]:
        """Return all files under the root, by name."""

    def entry(self, name: str) -> Entry | None:
        """Return one file, None when there is none of this name."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes; FileNotFoundError when there is none."""

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file, whole or not at all, over any older one."""

    def put(self, name: str, path: Path) -> None:
        """Copy a local file here, whole or not at all."""

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path, whole or not at all; FileNotFoundError when none."""

    def move(self, name: str, to: str, seen: Entry | None = None) -> None:
        """Give a file another name; FileNotFoundError when there is none.

        Where a move is a copy and a delete, a file that is no longer the one that was `seen` is
        copied and not deleted.
        """

    def delete(self, name: str) -> None:
        """Remove a file; none of this name is no error."""


def open_store(url: str, options: Mapping[str, str]) -> Store:
    """Return the store at a path, a file:// or an s3:// URL; ValueError for another scheme.

    `options` are the words that deltalake and polars read, too: AWS_ENDPOINT_URL,
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ALLOW_HTTP, aws_conditional_put.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme == "s3":
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        return Bucket(_s3(bucket, options), bucket, prefix.strip("/"))
    if scheme == "file":
        return Folder(Path(unquote(urlsplit(url).path)))
    if scheme:
        raise ValueError(f"{url}: give a path or an s3:// URL, {scheme}:// is not known")
    return Folder(Path(url))


def carry(source: Store, name: str, target: Store, to: str) -> None:
    """Move a file between stores: it is whole at its target before it leaves its source.

    FileNotFoundError when it is not there.
    """
    if isinstance(source, Folder):
        if isinstance(target, Folder):
            source.move_out(name, target, to)
            return
        target.put(to, source.path(name))
    elif isinstance(target, Folder):
        source.fetch(name, target.path(to))
    elif not _copied(source, name, target, to):
        with tempfile.TemporaryDirectory() as folder:
            source.fetch(name, Path(folder, "file"))
            target.put(to, Path(folder, "file"))
    source.delete(name)


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
            shutil.copyfileobj(source, file, _PIECE)

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


class Bucket:
    """A prefix in an S3 bucket."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        """`s3` is an obstore store of the whole bucket, `prefix` ends without a slash."""
        self.s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    @property
    def url(self) -> str:
        """The s3:// URL."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def at(self, name: str) -> "Bucket":
        """Return a prefix below."""
        return Bucket(self.s3, self._bucket, self.key_of(name))

    def look(self) -> list[Entry]:
        """Return the objects directly under the prefix."""
        found = self.s3.list_with_delimiter(self._prefix or None)["objects"]
        return sorted(map(self._entry, found), key=lambda entry: entry.name)

    def walk(self) -> list[Entry]:
        """Return all objects under the prefix."""
        found = self.s3.list(self._prefix or None).collect()
        return sorted(map(self._entry, found), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        """Ask for an object's head."""
        try:
            return self._entry(self.s3.head(self.key_of(name)))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self.s3.get(self.key_of(name)).bytes())

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Put an object; what is no single piece goes by way of the local disk."""
        if isinstance(data, bytes):
            self.s3.put(self.key_of(name), data)
            return
        with tempfile.NamedTemporaryFile() as file:
            file.writelines(data)
            file.flush()
            self.put(name, Path(file.name))

    def put(self, name: str, path: Path) -> None:
        """Upload a file, in pieces where it is large."""
        self.s3.put(self.key_of(name), path, chunk_size=_PIECE, max_concurrency=4)

    def fetch(self, name: str, path: Path) -> None:
        """Download in pieces, each of which waits for a server that is away."""
        key, found = self.key_of(name), self.entry(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", f"{self.url}/{name}")
        with whole(path) as file:
            for start in range(0, found.size, _PIECE):
                end = min(start + _PIECE, found.size)
                file.write(memoryview(self.s3.get_range(key, start=start, end=end)))

    def move(self, name: str, to: str, seen: Entry | None = None) -> None:
        """Copy, then delete."""
        self.copy_to(name, self, to)
        if seen is None or self.entry(name) == seen:
            self.delete(name)

    def copy_to(self, name: str, target: "Bucket", to: str) -> None:
        """Copy within the server; what is too large for one copy is streamed through here."""
        found = self.entry(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", f"{self.url}/{name}")
        source, new = self.key_of(name), target.key_of(to)
        if found.size < _LARGEST_COPY:
            self.s3.copy(source, new)
        else:
            self.s3.put(new, self.s3.get(source).stream(_PIECE), chunk_size=_PIECE)

    def shares_server(self, other: "Bucket") -> bool:
        """Say whether the server can copy between the two."""
        return bool(self.s3 == other.s3)

    def delete(self, name: str) -> None:
        """Delete an object."""
        with suppress(FileNotFoundError):
            self.s3.delete(self.key_of(name))

    def key_of(self, name: str) -> str:
        """Return an object's key in the bucket."""
        # A disk holds names that are no UTF-8; a bucket does not.
        text = name.encode(errors="surrogateescape").decode(errors="replace")
        return f"{self._prefix}/{text}" if self._prefix else text

    def _entry(self, meta: Mapping[str, Any]) -> Entry:
        name = meta["path"].removeprefix(self._prefix).removeprefix("/")
        # Some servers list fractions of a second and leave them out of an object's own head.
        modified = int(meta["last_modified"].timestamp()) * 10**9
        return Entry(name, meta["size"], modified, (meta["e_tag"] or "").strip('"'))


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


def _copied(source: Store, name: str, target: Store, to: str) -> bool:
    if not (isinstance(source, Bucket) and isinstance(target, Bucket)):
        return False
    if not source.shares_server(target):
        return False
    source.copy_to(name, target, to)
    return True


def _s3(bucket: str, options: Mapping[str, str]) -> Any:
    from obstore.store import S3Store

    words = {name.lower(): value for name, value in options.items()}
    words = {name: value for name, value in words.items() if name.startswith("aws_")}
    allow_http = words.pop("aws_allow_http", "false") == "true"
    client: Any = {**_CLIENT, "allow_http": allow_http}
    return S3Store(
        bucket, config=cast("Any", words), client_options=client, retry_config=cast("Any", _RETRY)
    )
