"""The server's own copies of bundles: what it serves from when the registry is away.

`<home>/<name>/<version>-<digest>/` is whole or absent: a number that a registry gave twice has two
folders. `<home>/<name>/champion.json` names the last version that really answered, with the digest
that its files must still have, and the one before.

The worker processes of a host share one home, so that each version is downloaded once. Whoever
changes a name's folder holds its lock file alone, whoever opens a bundle from it holds it with
others, and a download holds a lock of its version alone, since it may take long. The operating
system gives the locks of a killed process back, so none is ever stale and a download whose lock is
free is a dead one's.
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
"""Longer than a download and a load take: a worker that hangs must not stop the others for good."""


@dataclass(frozen=True)
class LocalCopy:
    """A version of which there is or could be a copy, and the digest that pins it."""

    name: str
    version: str
    digest: str
    source: str = ""
    """The model and the run that it was made of; empty where that was not noted."""

    def is_other_than(self, other: "LocalCopy") -> bool:
        """Say whether two of one number are two versions."""
        if self.version != other.version or self.digest != other.digest:
            return True
        return bool(self.source and other.source) and self.source != other.source


@dataclass(frozen=True)
class _Record:
    version: str
    digest: str
    before: str | None = None
    """The version that answered until then."""
    source: str = ""


class Shelf:
    """Folders below one home, shared by the workers of one server."""

    def __init__(self, home: Path) -> None:
        """Make the home if it is missing."""
        self._home = home
        home.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def writing(self, name: str) -> AsyncIterator[None]:
        """Be the only one at a name's folder; needed by all that changes it."""
        async with self._locked(name, fcntl.LOCK_EX):
            yield

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[None]:
        """Keep a name's folder as it is, together with others that read it."""
        async with self._locked(name, fcntl.LOCK_SH):
            yield

    @asynccontextmanager
    async def fetching(self, copy: LocalCopy, patience: float) -> AsyncIterator[None]:
        """Be the only one that downloads a version; waits so many seconds for another's."""
        lock = self._shelf(copy.name) / f"{_FETCH}{_marked(copy)}"
        async with self._held(lock, fcntl.LOCK_EX, patience):
            yield

    def folder(self, copy: LocalCopy) -> Path:
        """Return where a version's files are, or would be."""
        shelf = self._shelf(copy.name)
        marked, plain = shelf / _marked(copy), shelf / _safe(copy.version)
        # Version 0.1.0 kept them under the number alone.
        return plain if plain.is_dir() and not marked.is_dir() else marked

    def begin(self, copy: LocalCopy) -> Path:
        """Return a new empty folder to download into; what an earlier end cut short goes."""
        shelf = self._shelf(copy.name)
        shelf.mkdir(parents=True, exist_ok=True)
        prefix = f"{_DOWNLOAD}{_marked(copy)}{_OF}"
        for unfinished in shelf.glob(f"{prefix}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=shelf))

    def has(self, copy: LocalCopy) -> bool:
        """Say whether a copy with this digest is here; its model file is verified when opened."""
        try:
            read_manifest(self.folder(copy), copy.digest)
        except BundleRefusedError:
            return False
        return True

    def keep(self, download: Path, copy: LocalCopy) -> None:
        """Put a whole download in its place, over what was there."""
        place = self._shelf(copy.name) / _marked(copy)
        shutil.rmtree(place, ignore_errors=True)
        download.rename(place)

    def drop(self, folder: Path) -> None:
        """Remove a download or a copy."""
        shutil.rmtree(folder, ignore_errors=True)

    def record(self, copy: LocalCopy) -> None:
        """Note that this version is the champion that answers now."""
        shelf = self._shelf(copy.name)
        before = self._read(shelf)
        if before is not None and _copy(copy.name, before) == copy:
            return
        last = before.version if before else None
        record = _Record(copy.version, copy.digest, last, copy.source)
        draft = shelf / f".{_RECORD}"
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(shelf / _RECORD)

    def is_tidy(self, name: str, wanted: Collection[str]) -> bool:
        """Say whether `tidy` has nothing to remove."""
        return not self._left_over(name, wanted)

    def tidy(self, name: str, wanted: Collection[str]) -> None:
        """Remove all copies but the last champion, the one before and the versions wanted."""
        for left in self._left_over(name, wanted):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def last_good(self, name: str) -> LocalCopy | None:
        """Return the version of a name that was champion here last, if there was one."""
        record = self._read(self._shelf(name))
        return _copy(name, record) if record else None

    def names(self) -> list[str]:
        """Return the names that have a shelf, sorted."""
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
    """Say whether something that is no wanted version can go."""
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
