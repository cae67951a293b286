"""Opens a delivery by the format that its name states, and checks that its bytes agree."""

from collections.abc import Collection
from typing import BinaryIO

from include.errors import FileRefusedError
from include.formats.delivered_file import DeliveredFile
from include.formats.file_format import EMPTY, FileFormat
from include.formats.known_formats import format_of, stated_format
from include.formats.parsed_table import BLOCK_BYTES, ParsedTable, StatedFormat, require_few_columns
from include.formats.suffixes import Packing, name_unpacked, packing
from include.formats.zipped import DamagedZipError, only_member


def open_table(
    file: BinaryIO, name: str, stated: StatedFormat, size: int = BLOCK_BYTES
) -> ParsedTable:
    """Open a delivery called `name`; raises FileRefusedError when it has no table in it.

    The name states packing and format; bytes that are something else are refused with a message
    that says what they are. `size` is how many bytes are processed at a time.
    """
    delivered = DeliveredFile(file, packing(name), stated.encoding, size)
    file_format = _format_in(delivered, name) if delivered.packing else format_of(name)
    table = file_format.open(delivered, stated)
    require_few_columns(len(table.columns))
    return table


def all_columns(file: BinaryIO, name: str, stated: StatedFormat, size: int) -> tuple[str, ...]:
    """Return every column of a delivery, also those that appear late in it."""
    return open_table(file, name, stated, size).all_columns()


def raw_texts(
    file: BinaryIO, name: str, lines: Collection[int], stated: StatedFormat, size: int = BLOCK_BYTES
) -> dict[int, str]:
    """Return the raw texts of the rows that start on these lines, by line.

    A row that spans lines is whole; a row of Parquet is its JSON text. `stated` is what
    `open_table` was given.
    """
    wanted = frozenset(lines)
    return dict(open_table(file, name, stated, size).texts(wanted)) if wanted else {}


def _format_in(delivered: DeliveredFile, name: str) -> FileFormat:
    """Return the format of a packed file; raises FileRefusedError for one that may not be."""
    outside = format_of(name)
    _require_packable(outside)
    if not delivered.head():
        raise FileRefusedError(EMPTY)
    if delivered.packing is not Packing.ZIP:
        return outside
    try:
        inside = only_member(delivered.file).name
    except (EOFError, DamagedZipError):
        return outside  # reading it says what is wrong
    if packing(inside):
        raise FileRefusedError(f"a {packing(inside)} file within a zip archive: pack it once")
    # The name of the archive need not state a format.
    found = stated_format(name_unpacked(name)) or format_of(inside)
    _require_packable(found)
    return found


def _require_packable(file_format: FileFormat) -> None:
    if file_format.packed_refusal:
        raise FileRefusedError(file_format.packed_refusal)
