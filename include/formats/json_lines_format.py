"""JSON lines as a format of deliveries; `jsonlines` reads them."""

import json
from typing import TYPE_CHECKING

from include.formats.delivered_file import DeliveredFile
from include.formats.text_end import text_reaches_its_end

if TYPE_CHECKING:
    from include.formats.parsed_table import ParsedTable, StatedFormat


class JsonLinesFormat:
    """Texts with an object in each line."""

    suffixes = (".jsonl", ".ndjson", ".json")
    packed_refusal = ""

    def reaches_its_end(self, head: bytes, tail: bytes) -> bool:
        """Say whether the last line has its end or is an object."""
        return text_reaches_its_end(head, tail) or _is_object(tail.rpartition(b"\n")[2])

    def open(self, delivered: DeliveredFile, stated: "StatedFormat") -> "ParsedTable":
        """Open a text."""
        from include.formats.jsonlines import JsonLinesTable

        _, pieces = delivered.text()
        return JsonLinesTable(pieces, stated, delivered.size)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
