"""An object in a line of JSON means the same, however it is written."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.formats.jsonlines import JsonLinesTable
from include.formats.parsed_table import StatedFormat
from include.records.refusal_reasons import ReasonKind

_TEXTS = st.text(st.sampled_from('ab:"\\é\n{}[], 1'), max_size=4)
_VALUES = st.one_of(_TEXTS, st.none(), st.integers(), st.booleans())
_PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "a:", 'c"', "\\d", "é"]), _VALUES))
_FIRST = {"a": "x", "b": "y"}


def _written(pairs: list[tuple[str, Any]], between: str, *, escaped: bool) -> bytes:
    parts = (
        json.dumps(key, ensure_ascii=escaped) + between + json.dumps(value, ensure_ascii=escaped)
        for key, value in pairs
    )
    return ("{" + ",".join(parts) + "}").encode()


def _meant(pairs: list[tuple[str, Any]]) -> str | list[str | None]:
    """Return the values in the columns a and b, or the reason why the line is refused."""
    values = dict(pairs)
    if len(values) < len(pairs):
        return ReasonKind.TWICE
    return [_as_text(values.get(name)) for name in _FIRST]


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


@given(pairs=_PAIRS, between=st.sampled_from([":", ": ", " : "]), escaped=st.booleans())
def test_an_object_is_read_alike_however_it_is_written(
    *, pairs: list[tuple[str, Any]], between: str, escaped: bool
) -> None:
    """Colons, escapes and spaces in it change nothing; two keys of one name refuse the line."""
    text = json.dumps(_FIRST).encode() + b"\n" + _written(pairs, between, escaped=escaped) + b"\n"
    table = JsonLinesTable(iter([text]), StatedFormat("b"), len(text))
    chunks = list(iter(lambda: table.read(list(_FIRST), ()), None))
    rows = [list(row) for chunk in chunks for row in chunk.frame.rows()]
    refused = [row.reason for chunk in chunks for row in chunk.broken]
    meant = _meant(pairs)
    assert rows[1:] + refused == [meant]
