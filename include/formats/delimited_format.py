"""Delimited text as a format of deliveries; `delimited` reads it."""

import csv
from typing import TYPE_CHECKING

from include.errors import FileRefusedError
from include.formats.delivered_file import DeliveredFile
from include.formats.foreign import looks_like_json
from include.formats.suffixes import SEPARATORS
from include.formats.text_end import text_reaches_its_end

if TYPE_CHECKING:
    from include.formats.parsed_table import ParsedTable, StatedFormat


class DelimitedFormat:
    """Texts with a row in each line, whose fields are separated by a character."""

    suffixes = (".csv", ".tsv", ".txt")
    packed_refusal = ""

    def reaches_its_end(self, head: bytes, tail: bytes) -> bool:
        """Say whether the last line has its end, or as many fields as the header."""
        if text_reaches_its_end(head, tail):
            return True
        last, header = tail.rpartition(b"\n")[2], head.partition(b"\n")[0]
        separator = chr(max(SEPARATORS, key=header.count))
        # A header alone does not show what should follow.
        return b"\n" in tail and _fields(last, separator) == _fields(header, separator)

    def open(self, delivered: DeliveredFile, stated: "StatedFormat") -> "ParsedTable":
        """Open a text; one that begins like JSON lines is refused."""
        from include.formats.delimited import DelimitedTable

        head, pieces = delivered.text()
        if looks_like_json(head):
            raise FileRefusedError("JSON lines under another name: name the file .jsonl")
        return DelimitedTable(pieces, stated, delivered.size)


def _fields(line: bytes, separator: str) -> int:
    text = line.decode("utf-8-sig", "replace").rstrip("\r")
    try:
        return len(next(csv.reader([text], delimiter=separator, strict=True), []))
    except csv.Error:  # within quotes, or a field beyond all measure
        return 0
