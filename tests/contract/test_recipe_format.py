"""The recipe "a file format" of CONTRIBUTING: one class and one entry, and rows come in."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.formats import known_formats
from include.formats.completeness import is_complete
from include.formats.delivered_file import DeliveredFile
from tests.contract.bank import bank_at, deliver

if TYPE_CHECKING:
    from include.formats.parsed_table import ParsedTable, StatedFormat

pytestmark = pytest.mark.models_in_memory


class ColonsFormat:
    """Fields between colons, and a last line that says so."""

    suffixes = (".colons",)
    packed_refusal = ""

    def reaches_its_end(self, head: bytes, tail: bytes) -> bool:
        """Say whether the last line came."""
        del head
        return tail.endswith(b"end\n")

    def open(self, delivered: DeliveredFile, stated: "StatedFormat") -> "ParsedTable":
        """Read what stands between the colons as fields."""
        from include.formats.delimited import DelimitedTable

        _, pieces = delivered.text()
        text = b"".join(pieces).removesuffix(b"end\n").replace(b":", b",")
        return DelimitedTable(iter([text]), stated, delivered.size)


def test_a_format_is_a_class_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are whole when it says so, come in packed or not, and equal rows are duplicates."""
    monkeypatch.setattr(known_formats, "FORMATS", (*known_formats.FORMATS, ColonsFormat()))
    rows = [f"{20 + n}:{n}.5:admin:{'yes' if n % 4 == 0 else 'no'}\n" for n in range(40)]
    text = "".join(["age:balance:job:y\n", *rows, "end\n"])
    assert not is_complete("rows.colons", io.BytesIO(text[:-4].encode()))
    assert is_complete("rows.colons", io.BytesIO(text.encode()))
    context = bank_at(tmp_path)
    assert deliver(context, text, "rows.colons").new == len(rows)
    again = "".join(["age,balance,job,y\n", *(row.replace(":", ",") for row in rows)])
    assert deliver(context, again, "rows.csv").duplicates == len(rows)
