"""Reads the single file in a zip archive. The triggerer imports this module."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from include.errors import FileRefusedError
from include.store.units import KIB, MIB

_LONGEST_READ = MIB
_PIECE = 256 * KIB
_LOCKED = 0x1
_UNPACKED_HERE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_START = b"PK\x03\x04"
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 1 << 16
_DOCUMENTS = {
    "xl/": "an Excel workbook: save its sheet as CSV",
    "word/": "a Word document: save its table as CSV",
    "ppt/": "a PowerPoint document: save its table as CSV",
    "content.xml": "an OpenDocument file: save its sheet as CSV",
    "Index/": "a Numbers or Pages document: export its table as CSV",
}


class DamagedZipError(Exception):
    """The archive is damaged, or its content differs from its directory."""


@dataclass(frozen=True)
class Member:
    """A file in an archive, ready to be read."""

    name: str
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes; raises DamagedZipError when they are not those that were packed."""
        came_out = 0
        try:
            with self._archive.open(self._info) as content:
                while piece := content.read(_PIECE):
                    came_out += len(piece)
                    yield piece
        except _DAMAGES as error:
            raise DamagedZipError(str(error)) from error
        if came_out != self._info.file_size:
            raise DamagedZipError("the archive holds another number of bytes than it says")


def only_member(file: BinaryIO) -> Member:
    """Return the one file in an archive; raises FileRefusedError when there is not exactly one.

    It has to be neither locked nor packed by another method than deflate. Raises EOFError for a
    truncated archive and DamagedZipError for a broken one.
    """
    archive = _opened(file)
    document = _document(archive)
    if document:
        raise FileRefusedError(document)
    members = [info for info in archive.infolist() if not _is_litter(info)]
    if len(members) != 1:
        raise FileRefusedError(
            f"a zip archive with {len(members)} files in it: send each as a file of its own"
        )
    (info,) = members
    if info.flag_bits & _LOCKED:
        raise FileRefusedError("a zip archive that is locked with a password: send it unlocked")
    if info.compress_type not in _UNPACKED_HERE:
        raise FileRefusedError(
            "a zip archive that is packed by another method than deflate: pack it anew, or send "
            "the file as .gz, .zst or unpacked"
        )
    return Member(info.filename.rpartition("/")[2], archive, info)


def foreign_document(file: BinaryIO) -> str | None:
    """Say what a file is when it is a document stored as a zip archive, else None."""
    file.seek(0)
    if file.read(len(_START)) != _START:
        return None
    try:
        return _document(_opened(file))
    except (EOFError, DamagedZipError, FileRefusedError):
        return None


def has_end(tail: bytes) -> bool:
    """Say whether an archive with these last bytes was written to its end."""
    place = tail[-_LONGEST_COMMENT - _END_BYTES :].rfind(_END)
    return 0 <= place <= min(len(tail), _LONGEST_COMMENT + _END_BYTES) - _END_BYTES


class _ShortReads:
    """A file that refuses large reads, such as of a directory of millions of files."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _LONGEST_READ:
            raise FileRefusedError(
                "a zip archive whose list of files is longer than 1 MB: send one file"
            )
        return self._file.read(size if size >= 0 else _LONGEST_READ)


_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    tail_bytes = min(file.seek(0, 2), _LONGEST_COMMENT + _END_BYTES)
    file.seek(-tail_bytes, 2)
    if not has_end(file.read(tail_bytes)):
        file.seek(0)
        if file.read(len(_START)) == _START:
            raise EOFError
        raise DamagedZipError("neither start nor end of an archive")
    try:
        short: IO[bytes] = _ShortReads(file)  # type: ignore[assignment] # all that zipfile uses
        return zipfile.ZipFile(short)
    except _DAMAGES as error:
        raise DamagedZipError(str(error)) from error


def _document(archive: zipfile.ZipFile) -> str | None:
    """Say what kind of document an archive is, by the names of the files in it."""
    names = archive.namelist()
    documents = (
        what for start, what in _DOCUMENTS.items() if any(n.startswith(start) for n in names)
    )
    return next(documents, None)


def _is_litter(info: zipfile.ZipInfo) -> bool:
    """Say whether an entry is a folder, or one that macOS adds to each file."""
    name = info.filename.rpartition("/")[2]
    return info.is_dir() or info.filename.startswith("__MACOSX/") or name.startswith(".")
