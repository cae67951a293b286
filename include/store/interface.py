"""The interface of a store, which a folder and a bucket implement."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from include.store.units import MIB

if TYPE_CHECKING:
    from include.store.folder import Folder

SUBFOLDER = "a folder: only files directly in the landing place are taken"
"""Why a folder in a landing place is left alone."""
PIECE = 16 * MIB
"""Bytes of one piece when files are copied."""


@dataclass(frozen=True)
class Entry:
    """A file or object: its name, its size in bytes, and what changes when it is written again."""

    name: str
    size: int
    modified: int
    """Time of the last write in nanoseconds since 1970, by the clock of the disk or server."""
    tag: str
    """A bucket's ETag; empty in a folder."""


@dataclass(frozen=True)
class LeftAlone:
    """An entry of a store that cannot be used as a file, and why."""

    name: str
    why: str
    """What it is, as the end of a sentence."""
    is_folder: bool = False


class Store(Protocol):
    """Files under one root; names are relative to it, with `/` between folders."""

    @property
    def url(self) -> str:
        """The root: a path, or s3://bucket/prefix."""

    @property
    def local(self) -> "Folder | None":
        """This store where it is a folder of this machine; None where its files are elsewhere."""

    def at(self, name: str) -> "Store":
        """Return the store of a folder under this one."""

    def look(self) -> list[Entry]:
        """Return the files directly under the root, by name; none when there is no such root."""

    def left_alone(self) -> list[LeftAlone]:
        """Return the entries directly under the root that cannot be used as files, by name."""

    def walk(self) -> list[Entry]:
        """Return all files under the root, by name."""

    def entry(self, name: str) -> Entry | None:
        """Return one file, None when there is none of this name."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes; FileNotFoundError when there is none."""

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file atomically, over any older one; `data` may come in pieces."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file atomically, but over none; return whether the file that is there is this.

        Of several writers of one name, one has it.
        """

    def put(self, name: str, source: Path | BinaryIO) -> None:
        """Copy a local file into the store, atomically."""

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path, atomically; FileNotFoundError when there is none."""

    def move(self, name: str, to: str, seen: Entry | None = None) -> None:
        """Rename a file within the store; FileNotFoundError when there is none.

        A bucket copies and deletes. There, a file that was written again since it was `seen` is
        copied but not deleted.
        """

    def delete(self, name: str) -> None:
        """Remove a file; none of this name is no error."""
