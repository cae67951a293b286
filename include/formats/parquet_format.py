"""Parquet as a format of deliveries; `parquet` reads it."""

from typing import TYPE_CHECKING

from include.errors import FileRefusedError
from include.formats.delivered_file import DeliveredFile
from include.formats.file_format import EMPTY
from include.formats.foreign import PARQUET_MAGIC, foreign_data

if TYPE_CHECKING:
    from include.formats.parsed_table import ParsedTable, StatedFormat


class ParquetFormat:
    """Parquet files; they are packed inside."""

    suffixes = (".parquet", ".pq")
    packed_refusal = "a packed Parquet file: send it as it is, it is packed inside"

    def reaches_its_end(self, head: bytes, tail: bytes) -> bool:
        """Say whether the mark stands at the end too, which is written last."""
        return len(head) > len(PARQUET_MAGIC) and tail.endswith(PARQUET_MAGIC)

    def open(self, delivered: DeliveredFile, stated: "StatedFormat") -> "ParsedTable":
        """Open a file, which has to begin with the mark of Parquet."""
        from include.formats.parquet import ParquetTable

        head = delivered.head()
        if not head:
            raise FileRefusedError(EMPTY)
        if not head.startswith(PARQUET_MAGIC):
            what = foreign_data(head) or "text or something else, named as it is not"
            raise FileRefusedError(f"no Parquet file, or a damaged one: it is {what}")
        return ParquetTable(delivered.file, stated, delivered.size)
