"""Opens a delivery by the format that its name states, and checks that its bytes agree."""

from collections.abc import Collection, Iterator
from itertools import chain
from typing import BinaryIO

from include.errors import FileRefusedError
from include.formats.delimited import DelimitedTable
from include.formats.foreign import (
    HEAD_BYTES,
    PARQUET_MAGIC,
    another_encoding,
    foreign_data,
    foreign_text,
    looks_like_json,
)
from include.formats.jsonlines import JsonLinesTable
from include.formats.packed import content_pieces
from include.formats.parquet import ParquetTable
from include.formats.parsed_table import BLOCK_BYTES, ParsedTable, StatedFormat, require_few_columns
from include.formats.suffixes import (
    Format,
    Packing,
    format_of,
    name_unpacked,
    packing,
    stated_format,
)
from include.formats.zipped import DamagedZipError, foreign_document, only_member
from include.text.encodings import marked_encoding, utf_8

_PACKED_PARQUET = "a packed Parquet file: send it as it is, it is packed inside"


def open_table(
    file: BinaryIO, name: str, stated: StatedFormat, size: int = BLOCK_BYTES
) -> ParsedTable:
    """Open a delivery called `name`; raises FileRefusedError when it has no table in it.

    `suffixes` derives format and packing from the name; bytes that are something else are refused
    with a message that says what they are. `size` is how many bytes are processed at a time.
    """
    packed, kind = packing(name), format_of(name)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if kind is Format.PARQUET:
        table: ParsedTable = _parquet(file, head, packed, stated, size)
    else:
        if packed and not head:
            raise FileRefusedError("the file is empty: 0 bytes came")
        if packed is Packing.ZIP:
            kind = _kind_in_zip(file, name)
        table = _text_table(file, packed, kind, stated, size)
    require_few_columns(len(table.columns))
    return table


def all_columns(file: BinaryIO, name: str, stated: StatedFormat, size: int) -> tuple[str, ...]:
    """Return every column of a delivery; JSON lines are read to the end for late keys."""
    table = open_table(file, name, stated, size)
    return table.every_key() if isinstance(table, JsonLinesTable) else table.columns


def raw_texts(
    file: BinaryIO, name: str, lines: Collection[int], stated: StatedFormat, size: int = BLOCK_BYTES
) -> dict[int, str]:
    """Return the raw texts of the rows that start on these lines, by line.

    A row that spans lines is whole; a row of Parquet is its JSON text. `stated` is what
    `open_table` was given.
    """
    wanted = frozenset(lines)
    return dict(open_table(file, name, stated, size).texts(wanted)) if wanted else {}


def _parquet(
    file: BinaryIO, head: bytes, packed: Packing | None, stated: StatedFormat, size: int
) -> ParsedTable:
    if packed:
        raise FileRefusedError(_PACKED_PARQUET)
    if not head:
        raise FileRefusedError("the file is empty: 0 bytes came")
    if not head.startswith(PARQUET_MAGIC):
        what = foreign_data(head) or "text or something else, named as it is not"
        raise FileRefusedError(f"no Parquet file, or a damaged one: it is {what}")
    return ParquetTable(file, stated, size)


def _kind_in_zip(file: BinaryIO, name: str) -> Format:
    """Return the format of the file in an archive, whose own name may not state it."""
    try:
        inside = only_member(file).name
    except (EOFError, DamagedZipError):
        return format_of(name)
    if packing(inside):
        raise FileRefusedError(f"a {packing(inside)} file within a zip archive: pack it once")
    kind = stated_format(name_unpacked(name)) or format_of(inside)
    if kind is Format.PARQUET:
        raise FileRefusedError(_PACKED_PARQUET)
    return kind


def _text_table(
    file: BinaryIO, packed: Packing | None, kind: Format, stated: StatedFormat, size: int
) -> ParsedTable:
    if not packed:
        _require(foreign_document(file))
    file.seek(0)
    head, pieces = _peeked(content_pieces(file, packed, size))
    encoding = "utf-8" if marked_encoding(head) == "utf-8" else stated.encoding
    _require(foreign_data(head) or another_encoding(head, encoding))
    head, pieces = _peeked(utf_8(pieces, encoding))
    _require(foreign_text(head.removeprefix(b"\xef\xbb\xbf")))
    if kind is Format.JSON:
        return JsonLinesTable(pieces, stated, size)
    if looks_like_json(head):
        raise FileRefusedError("JSON lines under another name: name the file .jsonl")
    return DelimitedTable(pieces, stated, size)


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
