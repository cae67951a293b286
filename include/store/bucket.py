"""Objects under a prefix of an S3 bucket."""

import errno
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast

from include.store.address import bucket_and_prefix
from include.store.folder import write_whole
from include.store.interface import PIECE, SUBFOLDER, Entry, LeftAlone
from include.store.keys import key_part, listed_by_boto, name_of

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

_ASKED = "ratchet-asks-whether-this-answers"
_NO_KEY = "its key cannot be used: give the object another name"


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

    @property
    def local(self) -> None:
        """Its objects are elsewhere."""
        return

    def at(self, name: str) -> "Bucket":
        """Return a prefix below."""
        return Bucket(self.s3, self._bucket, self.key_of(name))

    def look(self) -> list[Entry]:
        """Return the objects directly under the prefix."""
        return _by_name(self._entry(one) for one in self._directly()["objects"])

    def left_alone(self) -> list[LeftAlone]:
        """Return folders, keys that clients cannot name, and listed objects that cannot be read.

        Costs one request for each object.
        """
        listed = self._directly()
        folders = [
            LeftAlone(self._name(key), SUBFOLDER, is_folder=True)
            for key in listed["common_prefixes"]
        ]
        unnamed = [LeftAlone(self._name(key), _NO_KEY) for key in listed.get("unnamed", ())]
        lost = [LeftAlone(one.name, _NO_KEY) for one in self.look() if not self.entry(one.name)]
        return sorted([*folders, *unnamed, *lost], key=lambda item: item.name)

    def walk(self) -> list[Entry]:
        """Return all objects under the prefix."""
        from obstore.exceptions import InvalidPathError

        try:
            found = self.s3.list(self._prefix or None).collect()
        except InvalidPathError:
            found = listed_by_boto(self.s3, self._bucket, self._prefix, "")["objects"]
        return _by_name(map(self._entry, found))

    def entry(self, name: str) -> Entry | None:
        """Return an object's size, time and tag by a HEAD request; None when there is none."""
        try:
            return self._entry(self.s3.head(self.key_of(name)))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self.s3.get(self.key_of(name)).bytes())

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Store an object by one put; data in pieces are first collected in a local file."""
        if isinstance(data, bytes):
            self.s3.put(self.key_of(name), data)
            return
        with tempfile.NamedTemporaryFile() as file:
            file.writelines(data)
            file.flush()
            self.put(name, Path(file.name))

    def create(self, name: str, data: bytes) -> bool:
        """Put on the condition that there is none; after a lost answer the object is compared."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            self.s3.put(self.key_of(name), data, mode="create")
        except AlreadyExistsError:
            return self.read(name) == data
        except BaseError:
            if self.entry(name) is None:
                raise
            return self.read(name) == data
        return True

    def put(self, name: str, source: Path | BinaryIO) -> None:
        """Upload a file, in pieces where it is large."""
        self.s3.put(self.key_of(name), source, chunk_size=PIECE, max_concurrency=4)

    def fetch(self, name: str, path: Path) -> None:
        """Download to a local path in pieces; each piece is requested again when that fails."""
        pieces = self.pieces(name)
        with write_whole(path) as file:
            file.writelines(pieces)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Return an iterator over an object's bytes; FileNotFoundError, before the first piece."""
        key, found = self.key_of(name), self.entry(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", f"{self.url}/{name}")
        return (
            bytes(self.s3.get_range(key, start=start, end=min(start + PIECE, found.size)))
            for start in range(0, found.size, PIECE)
        )

    def move(self, name: str, to: str, seen: Entry | None = None) -> None:
        """Copy, then delete."""
        self.copy_to(name, self, to)
        if seen is None or self.entry(name) == seen:
            self.delete(name)

    def copy_to(self, name: str, target: "Bucket", to: str) -> None:
        """Copy within the server; an object too large for one copy request is streamed."""
        found = self.entry(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", f"{self.url}/{name}")
        source, new = self.key_of(name), target.key_of(to)
        if found.size < _LARGEST_COPY:
            self.s3.copy(source, new)
        else:
            self.s3.put(new, self.s3.get(source).stream(PIECE), chunk_size=PIECE)

    def shares_server(self, other: "Bucket") -> bool:
        """Return whether both are on the same server, so that it can copy objects by itself."""
        return bool(self.s3 == other.s3)

    def delete(self, name: str) -> None:
        """Delete an object."""
        with suppress(FileNotFoundError):
            self.s3.delete(self.key_of(name))

    def key_of(self, name: str) -> str:
        """Return an object's key in the bucket."""
        text = "/".join(map(key_part, name.split("/")))
        return f"{self._prefix}/{text}" if self._prefix else text

    def _directly(self) -> Mapping[str, Any]:
        from obstore.exceptions import InvalidPathError

        try:
            listed: Mapping[str, Any] = self.s3.list_with_delimiter(self._prefix or None)
        except InvalidPathError:
            return listed_by_boto(self.s3, self._bucket, self._prefix, "/")
        return listed

    def _name(self, key: str) -> str:
        below = key.removeprefix(self._prefix).removeprefix("/")
        return "/".join(map(name_of, below.split("/")))

    def _entry(self, meta: Mapping[str, Any]) -> Entry:
        name = self._name(meta["path"])
        # Some servers list fractions of a second and leave them out of an object's own head.
        modified = int(meta["last_modified"].timestamp()) * 10**9
        return Entry(name, meta["size"], modified, (meta["e_tag"] or "").strip('"'))


def _by_name(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.name)


def bucket_problem(url: str, options: Mapping[str, str], seconds: float) -> str:
    """Return why the bucket of an s3:// URL does not respond in `seconds`, empty when it does."""
    from obstore.exceptions import BaseError

    bucket, _ = bucket_and_prefix(url)
    patience = timedelta(seconds=seconds)
    impatient = {"max_retries": 0, "retry_timeout": patience}
    client = {"connect_timeout": patience, "timeout": patience}
    try:
        connect(bucket, options, impatient, client).head(_ASKED)
    except (FileNotFoundError, PermissionError):
        return ""  # whether it may be used shows when it is
    except BaseError:
        return "no connection, or an error in place of an answer"
    return ""


def connect(
    bucket: str,
    options: Mapping[str, str],
    retry: Mapping[str, Any] = MappingProxyType(_RETRY),
    client: Mapping[str, Any] = MappingProxyType(_CLIENT),
) -> Any:
    """Return an obstore store of a bucket; `options` are those of `open_store`."""
    from obstore.store import S3Store

    words = {name.lower(): value for name, value in options.items()}
    words = {name: value for name, value in words.items() if name.startswith("aws_")}
    allow_http = words.pop("aws_allow_http", "false") == "true"
    known: Any = {**client, "allow_http": allow_http}
    return S3Store(
        bucket, config=cast("Any", words), client_options=known, retry_config=cast("Any", {**retry})
    )
