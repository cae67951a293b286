from collections.abc import Sequence
from pathlib import Path

import pytest

from include.adapters.landing import Delivery, lines
from include.errors import FileRefusedError
from include.spec import Data
from include.stages.ingest import Typed, ingest

DATA = Data(target="y", id="id", features=("v*",), max_refused_share=0.5)
Read = tuple[tuple[float, ...], int]


def typed(text: str, expected: Sequence[str] | None = None) -> Typed:
    """Ingest a whole text."""
    return ingest(text.splitlines(keepends=True), DATA, tuple(expected) if expected else None)


def rows(result: Typed) -> list[Read]:
    """Return the usable rows as (features, label)."""
    frame = result.frame
    return [(row[1:-1], row[-1]) for row in frame.iter_rows()]


TWO = [((1.0, 2.0), 1), ((3.0, 4.0), 0)]


@pytest.mark.parametrize(
    "text",
    [
        "id,v1,v2,y\na,1,2,1\nb,3,4,0\n",
        "id,v1,v2,y\r\na,1,2,1\r\nb,3,4,0\r\n",
        "id,v1,v2,y\na,1,2,1\nb,3,4,0",
        "\nid,v1,v2,y\n\na,1,2,1\n\nb,3,4,0\n",
        'id,v1,v2,y\n"a\nwith, more",1,2,1\nb,"3",4,0\n',
        "id, v1,v2 ,y\na, 1,2.0 ,1.0\nb,3e0,4, 0\n",
        "v1,other,v2,y\n1,?,2,1\n3,,4,0\n",
    ],
    ids=["plain", "CRLF", "no last newline", "blank lines", "quoted", "spaces", "other columns"],
)
def test_a_delivery_in_any_dress_gives_the_same_rows(text: str) -> None:
    """Line ends, quotes, spaces and columns beside the features change nothing."""
    result = typed(text)
    assert result.features == ("v1", "v2")
    assert rows(result) == TWO
    assert result.refused == ()


def test_a_header_in_another_order_gives_the_columns_of_the_lake() -> None:
    """Features come in the order of the rows already there, new columns left out."""
    result = typed("v9,y,v2,v1\n7,1,2,1\n8,0,4,3\n", expected=("v1", "v2"))
    assert result.features == ("v1", "v2")
    assert rows(result) == TWO


def test_the_frame_has_the_dtypes_it_promises() -> None:
    """Lines are int64, features float64, labels int8."""
    schema = typed("v1,y\n1,1\n").frame.schema
    assert {name: str(dtype) for name, dtype in schema.items()} == {
        "line": "Int64",
        "v1": "Float64",
        "label": "Int8",
    }


def test_a_refused_row_keeps_its_line_column_reason_and_text() -> None:
    """A row after a quoted line break is still found by its number in the file."""
    result = typed('id,v1,v2,y\n"a\nb",1,2,1\nc,3,n/a,0\nd,5,6,1\n')
    (refused,) = result.refused
    assert (refused.line, refused.column, refused.reason) == (4, "v2", "not a number")
    assert refused.raw == "c,3,n/a,0"
    assert result.frame["line"].to_list() == [2, 5]


def test_a_refused_row_keeps_all_of_its_lines() -> None:
    """The text of a row that spans lines stays whole, and its first line is its number."""
    (refused,) = typed('id,v1,v2,y\n"a\nb",x,2,1\nc,3,4,0\nd,5,6,0\n').refused
    assert (refused.line, refused.raw) == (2, '"a\nb",x,2,1')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "file is empty"),
        ("\n\n", "file is empty"),
        ("v1,v2\n1,2\n", "no target column 'y'; the header starts v1, v2"),
        ("id,y\n1,1\n", r"no column matches the feature patterns \['v\*'\]"),
        ("v1,v2,v1,y\n1,2,1,1\n", "names v1 more than once"),
        ("v1,V1,vX,vx,y\n1,2,3,4,1\n", "feature columns named vX, vx"),
        ("v1,y\nx,1\ny,1\n1,1\n", "2 of 3 lines are in bad rows, more than the share of 0.5"),
        ('v1,y\n1,1\n"2,1\n' + "3,1\n" * 30, "31 of 32 lines are in bad rows"),
        ("v\udcff,y\n1,1\n", r"header has bytes that are not UTF-8: v\\xff,y"),
        ('v1,y\n"' + "1" * 200_000 + '",1\n', "line 2: not CSV: field larger"),
    ],
)
def test_a_file_without_a_row_to_trust_is_refused_whole(text: str, reason: str) -> None:
    """The sentence says what was missing or how much was bad."""
    with pytest.raises(FileRefusedError, match=reason):
        typed(text)


def test_a_file_that_lacks_known_features_is_refused_with_their_names() -> None:
    """Five names show the pattern; the rest is counted."""
    wanted = [f"v{number}" for number in range(8)]
    with pytest.raises(FileRefusedError, match=r"7 of 8 .*: v1, v2, v3, v4, v5 and more"):
        typed("v0,y\n1,1\n", expected=wanted)


@pytest.mark.parametrize("name", ["line", "label", "key", "side", "Batch"])
def test_a_feature_may_not_bear_a_name_that_the_table_uses(name: str) -> None:
    """Two columns of one name would overwrite each other."""
    with pytest.raises(FileRefusedError, match=f"feature columns named {name}:"):
        ingest([f"a,{name},y\n", "1,2,1\n"], Data(target="y"), None)


def test_the_target_may_bear_any_name() -> None:
    """A target called `label` is what most files have."""
    data = Data(target="label")
    assert rows(ingest(["v1,label\n", "2,1\n"], data, None)) == [((2.0,), 1)]


def test_labels_may_be_words() -> None:
    """Words are compared as they stand, spaces around them aside."""
    data = Data(target="y", positive="yes", negative="no")
    result = ingest(["v1,y\n", "1,yes\n", "2, no\n", "3,Yes\n"], data, None)
    assert rows(result) == [((1.0,), 1), ((2.0,), 0)]
    assert [row.reason for row in result.refused] == ["unknown label"]


def test_a_header_alone_is_a_delivery_of_no_rows() -> None:
    """Nothing is bad about it, and nothing is in it."""
    result = typed("v1,y\n")
    assert (result.frame.height, result.refused) == (0, ())


def test_a_byte_order_mark_and_broken_bytes_come_through_the_door(tmp_path: Path) -> None:
    """The mark is no part of the first name; broken bytes cost their own row and stay readable."""
    path = tmp_path / "file.csv"
    path.write_bytes("v1,id,y\n1,a,1\n".encode("utf-8-sig") + b"2,\xff\xfe,1\n3,c,0\n")
    with lines(Delivery(path, "")) as text:
        result = ingest(text, DATA, None)
    assert rows(result) == [((1.0,), 1), ((3.0,), 0)]
    (refused,) = result.refused
    assert (refused.line, refused.reason) == (3, "bytes that are not UTF-8")
    assert refused.raw == r"2,\xff\xfe,1"
