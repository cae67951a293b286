"""Data files that are what was written: each is named after the checksum of its bytes.

The log of Delta has a place for it that its writer does not fill, and a name cannot be parted from
its file. XXH3-128: it is about accidents, for whoever may write to the table could write its log.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import xxhash

from include.store import PIECE, Entry, Folder, Store

_CHECKSUM = re.compile(r"-([0-9a-f]{32})\.parquet$")
_SUFFIX = ".parquet"


def checksum(file: BinaryIO) -> str:
    """Return the checksum of what is left to read of a file."""
    digest = xxhash.xxh3_128()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def named(name: str, checksum: str) -> str:
    """Return the name that a data file with a checksum gets."""
    return f"{name.removesuffix(_SUFFIX)}-{checksum}{_SUFFIX}"


class Verifier:
    """The data files of one table; each is read once for as long as it does not change."""

    def __init__(self, store: Store, scratch: Path) -> None:
        """`store` is the table's place, `scratch` a local folder to fetch files of a bucket to."""
        self._store = store
        self._scratch = scratch
        self._whole: dict[str, Entry] = {}

    def problems(self, sizes: Mapping[str, int], most_bytes: int | None = None) -> dict[str, str]:
        """Return what is wrong with data files, by path, as the end of a sentence.

        `sizes` are their bytes as the log has them. With `most_bytes`, more than that are not read;
        files written before there were checksums are told by their size alone.
        """
        seen = self._entries(sizes)
        found = {path: problem for path in sizes if (problem := _at_sight(path, sizes, seen))}
        unread = {
            path: seen[path] for path in sizes if path not in found and self._is_new(seen, path)
        }
        if most_bytes is not None and sum(one.size for one in unread.values()) > most_bytes:
            return found
        for path, entry in unread.items():
            actual = self._checksum(path)
            if actual == _stated(path):
                self._whole[path] = entry
            else:
                found[path] = f"was changed after it was written: its checksum is {actual} now"
        return found

    def _entries(self, paths: Iterable[str]) -> dict[str, Entry]:
        folders = sorted({path.rpartition("/")[0] for path in paths})
        return {
            f"{folder}/{entry.name}": entry
            for folder in folders
            for entry in self._store.at(folder).look()
        }

    def _is_new(self, seen: Mapping[str, Entry], path: str) -> bool:
        return bool(_stated(path)) and self._whole.get(path) != seen[path]

    def _checksum(self, path: str) -> str:
        if isinstance(self._store, Folder):
            with self._store.open(path) as file:
                return checksum(file)
        self._scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._scratch) as folder:
            copy = Path(folder, "file")
            self._store.fetch(path, copy)
            with copy.open("rb") as file:
                return checksum(file)


def _stated(path: str) -> str:
    match = _CHECKSUM.search(path)
    return match.group(1) if match else ""


def _at_sight(path: str, sizes: Mapping[str, int], seen: Mapping[str, Entry]) -> str:
    if path not in seen:
        return "is gone"
    if seen[path].size != sizes[path]:
        return (
            f"was changed after it was written: it has {seen[path].size} bytes, not {sizes[path]}"
        )
    return ""
