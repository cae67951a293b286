"""What a folder and a bucket have in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

PIECE = 16 * 2**20
"""Bytes that are copied at a time."""


@dataclass(frozen=True)
class Entry:
    """A file or object: its name, bytes, and what changes when it is written again."""

    name: str
    size: int
    modified: int
    """Nanoseconds since 1970, by the clock of whoever holds the store."""
    tag: str
    """A bucket's ETag; empty in a folder."""


@dataclass(frozen=True)
class LeftAlone:
    """Something in a place that is not taken, and why."""

    name: str
    why: str
    """What it is, as the end of a sentence."""
    is_folder: bool = False


class Store(Protocol):
    """Files under one root; names are relative, their folders parted by `/`."""

    @property
    def url(self) -> str:
        """The root: a path, or s3://bucket/prefix."""

    def at(self, name: str) -> "Store":
        """Return the store of a folder under this one."""

    def look(self) -> list[Entry]:
        """Return the files directly under the root, by name; none when there is no such root."""

    def left_alone(self) -> list[LeftAlone]:
        """Return what stands directly under the root and cannot be taken as a file, by name."""

    def walk(self) -> list[Entry]:
        """Return all files under the root, by name."""

    def entry(self, name: str) -> Entry | None:
        """Return one file, None when there is none of this name."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes; FileNotFoundError when there is none."""

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file, whole or not at all, over any older one."""

    def put(self, name: str, source: Path | BinaryIO) -> None:
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
