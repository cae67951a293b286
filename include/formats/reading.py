"""Which format a file has, by its name."""

from collections.abc import Collection
from typing import BinaryIO

from include.errors import FileRefusedError
from include.formats.delimited import DelimitedTable
from include.formats.jsonlines import JsonLinesTable
from include.formats.packed import bare, unpacked
from include.formats.parquet import ParquetTable
from include.formats.table import BLOCK_BYTES, Table


def open_table(file: BinaryIO, name: str, target: str, size: int = BLOCK_BYTES) -> Table:
    """Open a delivery that is called `name`; FileRefusedError when it has no table in it.

    `.parquet`; `.jsonl` and `.ndjson`; anything else is delimited text. The latter two may be
    packed, `.gz` or `.zst`. `size` is how many bytes are worked on at a time.
    """
    plain = bare(name)
    if plain.endswith(".parquet"):
        if plain != name.lower():
            raise FileRefusedError("a packed Parquet file: send it as it is, it is packed inside")
        return ParquetTable(file, size)
    pieces = unpacked(file, name, size)
    if plain.endswith((".jsonl", ".ndjson")):
        return JsonLinesTable(pieces, size)
    return DelimitedTable(pieces, target, size)


def raw_texts(
    file: BinaryIO, name: str, lines: Collection[int], target: str = "", size: int = BLOCK_BYTES
) -> dict[int, str]:
    """Return the raw texts of the rows that start at these lines, line 1 being a CSV's header.

    A row that spans lines is whole; a row of Parquet is its JSON text. `target` tells the
    separator as it does for `open_table`.
    """
    wanted = frozenset(lines)
    return dict(open_table(file, name, target, size).texts(wanted)) if wanted else {}
