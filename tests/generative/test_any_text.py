"""No text, however broken, does more to ingest than refuse a row or the file."""

import csv

from hypothesis import given
from hypothesis import strategies as st

from include.errors import FileRefusedError
from include.spec import Data
from include.stages.ingest import ingest

# Letters of the header, digits and the characters that CSV gives a meaning, and broken bytes.
ALPHABET = "aby01.e-+nif\"',; \t\r\0\ufeff\udcff\u00e9"
CELL = st.one_of(st.sampled_from(["0", "1", "2.5", "", "nan", "1e999"]), st.text(ALPHABET))
LINE = st.one_of(st.lists(CELL, min_size=1, max_size=4).map(",".join), st.text(max_size=20))
DATA = Data(target="y", max_refused_share=1)


@given(st.lists(LINE, max_size=8), st.sampled_from(["a,b,y", "y,a", None]))
def test_every_record_is_typed_or_refused(lines: list[str], header: str | None) -> None:
    """Nothing but FileRefusedError comes out, and no record is lost or counted twice."""
    text = [f"{line}\n" for line in ([] if header is None else [header]) + lines]
    try:
        result = ingest(text, DATA, None)
    except FileRefusedError:
        return
    records = [fields for fields in csv.reader(text) if fields]
    assert result.frame.height + len(result.refused) == len(records) - 1
    seen = [*result.frame["line"], *(row.line for row in result.refused)]
    assert len(set(seen)) == len(seen)
    assert result.frame.null_count().sum_horizontal().item() == 0
    for row in result.refused:
        assert row.reason
        assert row.raw.encode()
