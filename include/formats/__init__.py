"""The file formats that a delivery may have, each read a part at a time with bounded memory.

A format knows bytes, fields and lines; which values are good is not its business. Whatever bytes
it is given it raises nothing but FileRefusedError.
"""

from include.formats.blocks import RAGGED, STRAY, UNCLOSED
from include.formats.reading import all_columns, open_table, raw_texts
from include.formats.table import BLOCK_BYTES, Chunk, Held, RefusedRow, Stated, Table

__all__ = [
    "BLOCK_BYTES",
    "RAGGED",
    "STRAY",
    "UNCLOSED",
    "Chunk",
    "Held",
    "RefusedRow",
    "Stated",
    "Table",
    "all_columns",
    "open_table",
    "raw_texts",
]
