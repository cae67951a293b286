"""Local copies of bundles, from which the server serves when the registry is not available.

`<home>/<name>/<version>-<digest>/` is complete or absent; a number that a registry assigned twice
has two folders. `<home>/<name>/champion.json` names the last champion that answered requests, with
the digest that its files must have, and the champion before it.

The worker processes of a host share one home, so that each version is downloaded once. A process
that changes the folder of a name holds its lock file exclusively, one that opens a bundle in it
holds the lock shared, and a download holds an exclusive lock for its version alone, because it may
take long. The operating system releases the locks of a killed process, so no lock is ever stale,
and a download whose lock is free was interrupted.
"""

import asyncio
import fcntl
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from serving.bundle import BundleRefusedError, read_manifest

_RECORD, _LOCK = "champion.json", ".lock"
_DOWNLOAD, _FETCH, _OF = ".download-", ".fetch-", "@"
_MARK, _MARK_DIGITS = "-", 12
_ASK_AGAIN_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
"""Longest wait for a lock, more than a download and a load take: a hung worker stops no other."""


@dataclass(frozen=True)
class LocalCopy:
    """A model version, with its digest, of which there is or may be a local copy."""

    name: str
    version: str
    digest: str
    source: str = ""
    """The registered model and the run that it was made from; empty when that is not recorded."""

    def is_other_than(self, other: "LocalCopy") -> bool:
        """Return whether another copy of the same number is another version."""
        if self.version != other.version or self.digest != other.digest:
            return True
        return bool(self.source and other.source) and self.source != other.source


@dataclass(frozen=True)
class _Record:
    version: str
    digest: str
    before: str | None = None
    """The champion before it."""
    source: str = ""


class LocalCopies:
    """Folders below one home, shared by the workers of one server."""

    def __init__(self, home: Path) -> None:
        """`home` is the root folder, which is created if it is missing."""
        self._home = home
        home.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def writing(self, name: str) -> AsyncIterator[None]:
        """Hold the exclusive lock of a name's folder; needed for every change in it."""
        async with self._locked(name, fcntl.LOCK_EX):
            yield

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[None]:
        """Hold the shared lock of a name's folder, so that nobody changes it meanwhile."""
        async with self._locked(name, fcntl.LOCK_SH):
            yield

    @asynccontextmanager
    async def fetching(self, copy: LocalCopy, patience: float) -> AsyncIterator[None]:
        """Hold the download lock of a version; wait up to `patience` seconds for it."""
        lock = self._shelf(copy.name) / f"{_FETCH}{_marked(copy)}"
        async with self._held(lock, fcntl.LOCK_EX, patience):
            yield

    def folder(self, copy: LocalCopy) -> Path:
        """Return the folder of a version's files, whether it exists or not."""
        shelf = self._shelf(copy.name)
        marked, plain = shelf / _marked(copy), shelf / _safe(copy.version)
        # Version 0.1.0 kept them under the number alone.
        return plain if plain.is_dir() and not marked.is_dir() else marked

    def begin(self, copy: LocalCopy) -> Path:
        """Return a new empty folder to download into; interrupted downloads are removed."""
        shelf = self._shelf(copy.name)
        shelf.mkdir(parents=True, exist_ok=True)
        prefix = f"{_DOWNLOAD}{_marked(copy)}{_OF}"
        for unfinished in shelf.glob(f"{prefix}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=shelf))

    def has(self, copy: LocalCopy) -> bool:
        """Return whether there is a copy with this digest; its files are verified when opened."""
        try:
            read_manifest(self.folder(copy), copy.digest)
        except BundleRefusedError:
            return False
        return True

    def keep(self, download: Path, copy: LocalCopy) -> None:
        """Move a complete download to its folder, in place of an older one."""
        place = self._shelf(copy.name) / _marked(copy)
        # Under the name's lock; killed in between, the version is downloaded once more.
        shutil.rmtree(place, ignore_errors=True)
        download.rename(place)

    def drop(self, folder: Path) -> None:
        """Remove the folder of a download or a copy."""
        shutil.rmtree(folder, ignore_errors=True)

    def record(self, copy: LocalCopy) -> None:
        """Record a version as the champion that answers now."""
        shelf = self._shelf(copy.name)
        before = self._read(shelf)
        if before is not None and _copy(copy.name, before) == copy:
            return
        last = before.version if before else None
        record = _Record(copy.version, copy.digest, last, copy.source)
        draft = shelf / f".{_RECORD}"
        draft.write_text(json.dumps(asdict(record)))
        # By a rename: whoever reads it meanwhile, or after a kill, finds the old record or the new
        # one.
        draft.replace(shelf / _RECORD)

    def is_tidy(self, name: str, wanted: Collection[str]) -> bool:
        """Return whether `tidy` has nothing to remove."""
        return not self._left_over(name, wanted)

    def tidy(self, name: str, wanted: Collection[str]) -> None:
        """Remove all copies but the last champion, the one before and the versions wanted."""
        for left in self._left_over(name, wanted):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def last_good(self, name: str) -> LocalCopy | None:
        """Return the last champion that is recorded for a name; None without one."""
        record = self._read(self._shelf(name))
        return _copy(name, record) if record else None

    def names(self) -> list[str]:
        """Return the model names that have a folder, sorted."""
        shelves = (path for path in self._home.iterdir() if path.is_dir())
        # The dots of a name are written otherwise: what begins with one is something else.
        return sorted(unquote(path.name) for path in shelves if not path.name.startswith("."))

    @asynccontextmanager
    async def _locked(self, name: str, kind: int) -> AsyncIterator[None]:
        async with self._held(self._shelf(name) / _LOCK, kind, _PATIENCE_SECONDS):
            yield

    @asynccontextmanager
    async def _held(self, file: Path, kind: int, patience: float) -> AsyncIterator[None]:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as lock:
            try:
                async with asyncio.timeout(patience):
                    while not _locks(lock.fileno(), kind):  # noqa: ASYNC110 - only the system knows
                        await asyncio.sleep(_ASK_AGAIN_SECONDS)
            except TimeoutError as error:
                raise TimeoutError(
                    f"another process has locked {file.parent} for {patience:.0f} s"
                ) from error
            yield

    def _shelf(self, name: str) -> Path:
        return self._home / _safe(name)

    def _left_over(self, name: str, wanted: Collection[str]) -> list[Path]:
        shelf = self._shelf(name)
        record = self._read(shelf)
        champions = (record.version, record.before) if record else ()
        kept = {_safe(version) for version in (*wanted, *champions) if version}
        return [path for path in shelf.glob("*") if _is_left_over(path, kept)]

    def _read(self, shelf: Path) -> _Record | None:
        try:
            fields = json.loads((shelf / _RECORD).read_text())
            before = fields.get("before")
            version, digest = str(fields["version"]), str(fields["digest"])
            source = str(fields.get("source", ""))
            last = str(before) if before else None
            return _Record(version, digest, last, source) if version else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # No record, or one that was damaged: there is nothing to fall back on, which is no
            # reason to stop following the registry.
            return None


def _locks(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_left_over(path: Path, numbers: Collection[str]) -> bool:
    """Return whether an entry of a name's folder can be removed."""
    if path.name.startswith(_FETCH):
        return _version_of(path.name.removeprefix(_FETCH)) not in numbers and _is_free(path)
    if path.name.startswith(_DOWNLOAD):
        marked = path.name.removeprefix(_DOWNLOAD).partition(_OF)[0]
        return _is_free(path.with_name(f"{_FETCH}{marked}"))
    return path.is_dir() and _version_of(path.name) not in numbers


def _copy(name: str, record: _Record) -> LocalCopy:
    return LocalCopy(name, record.version, record.digest, record.source)


def _marked(copy: LocalCopy) -> str:
    return f"{_safe(copy.version)}{_MARK}{copy.digest[:_MARK_DIGITS]}"


def _version_of(folder: str) -> str:
    return folder.partition(_MARK)[0]


def _is_free(lock: Path) -> bool:
    try:
        with lock.open("r") as opened:
            return _locks(opened.fileno(), fcntl.LOCK_EX)
    except FileNotFoundError:
        return True


def _safe(name: str) -> str:
    """Return a folder name for any registry name; no name leads out of the home.

    ValueError for the empty one, which would be the folder around it.
    """
    if not name:
        raise ValueError("a model and a version have a name")
    return quote(name, safe=" ").replace(".", "%2E")
