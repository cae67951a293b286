"""Verifies data files against the checksum in their names.

Delta's log has a field for checksums, but its writer leaves it empty; a name cannot be separated
from its file. The checksum is XXH3-128, which detects accidents and not attacks: whoever may write
to the table could also rewrite its log.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import xxhash

from include.store import PIECE, Entry, Store, open_local

_CHECKSUM = re.compile(r"-([0-9a-f]{32})\.parquet$")
_SUFFIX = ".parquet"


def checksum(file: BinaryIO) -> str:
    """Return the XXH3-128 of the rest of a file, from its position on, in hexadecimal digits."""
    digest = xxhash.xxh3_128()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def name_with_checksum(name: str, checksum: str) -> str:
    """Return the name of a data file with its checksum added."""
    return f"{name.removesuffix(_SUFFIX)}-{checksum}{_SUFFIX}"


class Verifier:
    """Verifies the data files of one table; a file is read again only after it has changed."""

    def __init__(self, store: Store, scratch: Path) -> None:
        """`store` is the table's folder, `scratch` a local one to download a bucket's files to."""
        self._store = store
        self._scratch = scratch
        self._whole: dict[str, Entry] = {}

    def problems(self, sizes: Mapping[str, int], most_bytes: int | None = None) -> dict[str, str]:
        """Return what is wrong with each faulty data file, by path, as the end of a sentence.

        `sizes` are the sizes in bytes from the log. When the files have more than `most_bytes`
        together, and for files from before there were checksums, only sizes are compared.
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
        with open_local(self._store, path, self._scratch) as file:
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
