"""The bytes of a delivery, of which a format makes its table: as they are, or unpacked as text."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from include.errors import FileRefusedError
from include.formats.foreign import HEAD_BYTES, another_encoding, foreign_data, foreign_text
from include.formats.packed import content_pieces
from include.formats.suffixes import Packing
from include.formats.zipped import foreign_document
from include.text.encodings import marked_encoding, utf_8


@dataclass(frozen=True)
class DeliveredFile:
    """A delivery that is open for reading."""

    file: BinaryIO
    packing: Packing | None
    encoding: str
    """What the spec states of texts."""
    size: int
    """How many bytes are processed at a time."""

    def head(self) -> bytes:
        """Return the first bytes as they came; the file is at its start afterwards."""
        self.file.seek(0)
        head = self.file.read(HEAD_BYTES)
        self.file.seek(0)
        return head

    def text(self) -> tuple[bytes, Iterator[bytes]]:
        """Return the start of the unpacked text in UTF-8, and all of it in pieces.

        Raises FileRefusedError for what is no text, or is one in another encoding.
        """
        if not self.packing:
            _require(foreign_document(self.file))
        self.file.seek(0)
        head, pieces = _peeked(content_pieces(self.file, self.packing, self.size))
        encoding = "utf-8" if marked_encoding(head) == "utf-8" else self.encoding
        _require(foreign_data(head) or another_encoding(head, encoding))
        head, pieces = _peeked(utf_8(pieces, encoding))
        _require(foreign_text(head.removeprefix(b"\xef\xbb\xbf")))
        return head, pieces


def _require(what: str | None) -> None:
    if what:
        raise FileRefusedError(what)


def _peeked(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first HEAD_BYTES bytes, and all pieces again from the start."""
    head, taken = b"", []
    for piece in pieces:
        head += piece[: HEAD_BYTES - len(head)]
        taken.append(piece)
        if len(head) == HEAD_BYTES:
            break
    return head, chain(taken, pieces)
