"""However a delimited text is cut into blocks, each block read its fastest way, it is the same."""

import io
from typing import Any

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from include.errors import FileRefusedError
from include.formats.blocks import from_records
from include.formats.header import read_header
from include.formats.parsed_table import RefusedRow, StatedFormat
from include.formats.records import csv_records
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.model_spec import Spec
from include.stages.ingest import ingest, raw_texts
from include.stages.ingest.halves import JudgedChunk, OuterColumns
from include.stages.ingest.row_checks import judge_rows

# Letters of the header, digits and the characters that CSV gives a meaning.
ALPHABET = "aby019.e-+nif\"',; \t\r\0\ufeff\u00e9\u00a0"
CELL = st.one_of(
    st.sampled_from(["0", "1", "2.5", "-0.0", "", "nan", "+nan", "inf", "1e999", " 1 ", "NA", "x"]),
    st.text(ALPHABET, max_size=6),
    st.text(ALPHABET + "\n", max_size=8).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.floats().map(str),
)
ROW = st.one_of(
    st.lists(CELL, min_size=4, max_size=4),
    st.lists(st.sampled_from(["1", "2.5", '"3"']), min_size=4, max_size=4),
    st.lists(CELL, max_size=6),
).map(",".join)
END = st.sampled_from(["\n", "\n", "\r\n", "\r"])
LINES = st.lists(st.tuples(ROW, END).map("".join), max_size=12).map("".join)
CONTRACT = Contract(
    1,
    "",
    "y",
    1,
    0,
    None,
    0.2,
    "salt",
    (
        Column("a", ColumnKind.NUMBER),
        Column("c", ColumnKind.CATEGORY, missing=True),
        Column("b", ColumnKind.NUMBER, missing=True),
    ),
)
Result = tuple[list[tuple[Any, ...]], list[RefusedRow]] | str


def a_spec() -> Spec:
    """Return the spec that goes with the contract."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    data = {"target": "y", "missing": ("b", "c"), "max_refused_share": 1.0}
    fields = {"name": "s", "model": "m", "title": "", "data": data, "families": (family,)}
    return Spec.model_validate(fields)


SPEC = a_spec()


def streamed(content: bytes, size: int) -> Result:
    """Return rows and refused rows as `ingest` gives them in blocks of this size."""
    try:
        parts = list(ingest(io.BytesIO(content), "x.csv", SPEC, CONTRACT, size).parts)
    except FileRefusedError as error:
        return str(error)
    rows = [row for part in parts for row in part.frame.iter_rows()]
    return rows, [row for part in parts for row in part.refused]


def by_the_csv_module(content: bytes) -> Result:
    """Return the same when the csv module reads everything in one go."""
    header, separator, used = read_header(content.removeprefix(b"\xef\xbb\xbf"), "y")
    lines = content.removeprefix(b"\xef\xbb\xbf")[used:].splitlines(keepends=True)
    try:
        records = list(csv_records(lines, separator, 2))
    except FileRefusedError as error:
        return str(error)
    chunk = from_records(records, separator, header.fields, [*CONTRACT.features, "y"])
    edges = OuterColumns(chr(separator), header.fields[0], header.fields[-1], CONTRACT)
    (part,) = edges.whole([JudgedChunk(chunk, *judge_rows(chunk, CONTRACT, labelled=True))])
    return list(part.frame.iter_rows()), list(part.refused)


@given(LINES.map(str.encode), st.sampled_from(["a,b,c,y\n", "y,c,a,b\r\n", "\ufeffc,a,y,b\n"]))
@example(b"\xef\xbb\xbf1,1,1,1\n", "a,b,c,y\n")
@example(b"1,\xff,1,1\n1,2,3,1", "a,b,c,y\n")
@example(b'1,2,"x\r\ny",1\n1,2,3\r\r\n', "a,b,c,y\n")
@example(b"1,2,x\n1,2,x,1,1\n1,2,x,1\n", "a,b,c,y\n")
@example(b'1,2,"' + b"x" * 140_000 + b'",1\n', "a,b,c,y\n")
@example(b'1,2,"' + b"x\n" * 70_000 + b'",1\n', "a,b,c,y\n")
@example(b"1,2,x,1\n5\n.5,2,x,1\n1,2,x\n2\n1\n", "a,b,c,y\n")
@example(b'1,2,1,"x"\ny",1\n1,2,1,"x"\n1,2,x,1\n', "y,b,a,c\n")
@example(b"1,2," + "\u00e9".encode() * 100_000 + b",1\n", "a,b,c,y\n")
def test_every_way_of_reading_gives_the_same(body: bytes, header: str) -> None:
    """Same rows to the bit, same refusals, same lines, at any size of block."""
    content = header.encode() + body
    expected = by_the_csv_module(content)
    for size in (1, 13, 40, 1 << 20) if len(content) < 10_000 else (1 << 12, 1 << 20):
        # As text, because NaN is not equal to itself and -0.0 is equal to 0.0.
        assert repr(streamed(content, size)) == repr(expected)


@given(st.binary(max_size=60), st.integers(1, 40))
@example(b'"', 1)
def test_broken_bytes_are_the_same_everywhere(body: bytes, size: int) -> None:
    """Bytes that are no text at all, in blocks of any size."""
    content = b"a,b,c,y\n1,2,x,1\n" + body
    assert repr(streamed(content, size)) == repr(by_the_csv_module(content))


@given(LINES.map(str.encode), st.integers(1, 60))
def test_raw_text_is_found_again_by_its_line(body: bytes, size: int) -> None:
    """What a refused row keeps is what a second look at its line gives."""
    content = b"a,b,c,y\n" + body
    result = streamed(content, size)
    if isinstance(result, str):
        return
    rows, refused = result
    lines = {row.line for row in refused} | {row[0] for row in rows}
    texts = raw_texts(io.BytesIO(content), "x.csv", lines, StatedFormat("y"), size)
    assert set(texts) == lines
    assert all(texts[row.line] == row.raw for row in refused)


@given(st.lists(st.tuples(st.floats(width=32), st.integers(0, 1)), max_size=20))
def test_numbers_come_through_to_the_bit(rows: list[tuple[float, int]]) -> None:
    """Every float that is finite is the one that was written."""
    text = "a,b,c,y\n" + "".join(f"{number!r},1,x,{label}\n" for number, label in rows)
    parts = ingest(io.BytesIO(text.encode()), "x.csv", SPEC, CONTRACT).parts
    read = pl.concat([CONTRACT_FRAME, *(part.frame for part in parts)])["a"].to_list()
    finite = [number for number, _ in rows if abs(number) <= 3.4e38]
    assert list(map(repr, read)) == list(map(repr, finite))


CONTRACT_FRAME = pl.DataFrame(
    schema={"line": pl.Int64, "a": pl.Float64, "c": pl.String, "b": pl.Float64, "label": pl.Int8}
)
