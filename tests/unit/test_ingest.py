import gzip
import io
import re
from typing import Any

import polars as pl
import pytest
import zstandard

from include.errors import FileRefusedError
from include.formats.parsed_table import StatedFormat
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.model_spec import Spec
from include.stages.ingest import (
    DeliveryReading,
    RefusedRow,
    ingest,
    outside_ranges,
    raw_texts,
    summary_of,
    with_ranges_seen,
)

Read = tuple[tuple[Any, ...], int]
TWO = [((1.0, 2.0), 1), ((3.0, 4.0), 0)]


def a_spec(**data: Any) -> Spec:
    """Return a spec with these fields of its data part."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    return Spec.model_validate(fields | {"data": {"target": "y", "id": "id"} | data})


def opened(
    content: str | bytes,
    name: str = "x.csv",
    contract: Contract | None = None,
    **data: Any,
) -> DeliveryReading:
    """Start to ingest a file."""
    text = content if isinstance(content, bytes) else content.encode()
    if "id" not in data and not re.search(rb"\bid\b", text[:200]):
        data["id"] = None
    return ingest(io.BytesIO(text), name, a_spec(**data), contract)


def rows(ingested: DeliveryReading) -> tuple[list[Read], list[RefusedRow]]:
    """Return all usable rows as (features, label), and the refused ones."""
    parts = list(ingested.parts)
    good = [(row[1:-1], row[-1]) for part in parts for row in part.frame.iter_rows()]
    return good, [row for part in parts for row in part.refused]


def known(text: str = "v1,v2,y\n1,2,1\n", **data: Any) -> Contract:
    """Return the contract that this first batch makes."""
    return opened(text, **data).contract


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
        "\ufeffid;v1;v2;y\na,b;1;2;1\nb;3;4;0\n",
        "id\tv1\tv2\ty\na\t1\t2\t1\nb\t3\t4\t0\n",
        "id,v1,v2,y\ra,1,2,1\rb,3,4,0\r",
    ],
    ids=[
        "plain",
        "CRLF",
        "no last newline",
        "blank lines",
        "quoted",
        "spaces",
        "other columns",
        "semicolons and a mark",
        "tabs",
        "carriage returns",
    ],
)
def test_a_delivery_in_any_dress_gives_the_same_rows(text: str) -> None:
    """Line ends, quotes, spaces, separators and columns beside the features change nothing."""
    ingested = opened(text, features=("v*",))
    assert ingested.contract.features == ("v1", "v2")
    assert rows(ingested) == (TWO, [])


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("x.CSV.GZ", gzip.compress(b"v1,v2,y\n1,2,1\n3,4,0\n", mtime=0)),
        ("x.gz", gzip.compress(b"v1,v2,y\n1,2,1\n", mtime=0) + gzip.compress(b"3,4,0\n", mtime=0)),
        ("x.tsv.zst", zstandard.compress(b"v1\tv2\ty\n1\t2\t1\n") + zstandard.compress(b"3\t4\t0")),
        ("x.jsonl", b'{"v1":1,"v2":2,"y":1}\r\n\n{"y":false,"v2":"4","v1":3.0}\n'),
        ("x.ndjson.gz", gzip.compress(b'{"v1":1,"v2":2,"y":1}\n{"y":0,"v2":4,"v1":3}\n', mtime=0)),
    ],
)
def test_a_delivery_in_any_packing_gives_the_same_rows(name: str, packed: bytes) -> None:
    """The name says how a file is packed and written."""
    assert rows(opened(packed, name)) == (TWO, [])


def test_a_header_in_another_order_gives_the_columns_of_the_contract() -> None:
    """Features come in the order of the first batch; new columns are named and not read."""
    ingested = opened("v9,y,v2,v1\n7,1,2,1\n8,0,4,3\n", contract=known())
    assert ingested.extra == ("v9",)
    assert rows(ingested) == (TWO, [])


def test_the_frame_has_the_dtypes_it_promises() -> None:
    """Lines are int64, numbers float64, categories text, labels int8."""
    (part,) = opened("v1,c,y\n1,x,1\n").parts
    assert part.frame.schema == {
        "line": pl.Int64,
        "v1": pl.Float64,
        "c": pl.String,
        "label": pl.Int8,
    }


def test_a_refused_row_keeps_its_line_column_reason_and_text() -> None:
    """A row after a quoted line break is still found by its number in the file."""
    content = 'id,v1,v2,y\n"a\nb",1,2,1\nc,3,old,0\nd,5,6,1\n"e\nf",x,6,1\n'
    (part,) = opened(content).parts
    assert part.refused == (
        RefusedRow(4, "v2", "not a number", "c,3,old,0", "old", "c"),
        RefusedRow(6, "v1", "not a number", '"e\nf",x,6,1', "x", "e\nf"),
    )
    assert (part.frame["line"].to_list(), part.bad_lines, part.lines) == ([2, 5], 3, 5)


def test_a_quote_that_is_never_closed_makes_the_rest_one_bad_row() -> None:
    """Its lines count as bad, however good they look."""
    (part,) = opened('v1,c,y\n1,a,1\n2,"b,1\n' + "3,c,1\n" * 30, categorical=("c",)).parts
    (refused,) = part.refused
    assert (refused.line, refused.reason) == (3, "a quote that is never closed")
    assert part.frame.height == 1
    assert part.bad_lines > 30


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "file is empty"),
        ("\n\n", "file is empty"),
        ("v1,v2\n1,2\n", "no target column 'y'; the header starts v1, v2"),
        (
            "v1,Y\n1,2\n",
            r"no target column 'y'; the header starts v1, Y; did you mean Y\?",
        ),
        ("id,y\n1,1\n", r"no column matches the feature patterns of the spec: \*"),
        ("v1,v2,v1,y\n1,2,1,1\n", "names v1 more than once"),
        ("v1,y,,\n1,1,,\n", "more than one column without a name"),
        ("v1,V1,vX,vx,y\n1,2,3,4,1\n", "feature columns named v1, V1, vX, vx"),
        (b"v\xff,y\n1,1\n", "header has bytes that are not UTF-8: save the file as UTF-8"),
        ('v1,"y\n', "a quote that is never closed"),
        ('v1,y\n"' + "1" * 200_000 + '",1\n', "line 2: not CSV: field larger"),
        (
            "t,y\n" + "".join(f"text {number},1\n" for number in range(1100)),
            r"texts that are hardly ever the same \(1100 in 1100 rows\), first on line 2: text 0",
        ),
    ],
)
def test_a_file_without_a_row_to_trust_is_refused_whole(text: str | bytes, reason: str) -> None:
    """The sentence says what was missing or wrong."""
    with pytest.raises(FileRefusedError, match=reason):
        rows(opened(text))


@pytest.mark.parametrize("name", ["line", "label", "key_high", "key_low", "side", "Batch"])
def test_a_feature_may_not_bear_a_name_that_the_table_uses(name: str) -> None:
    """Two columns of one name would overwrite each other."""
    with pytest.raises(FileRefusedError, match=f"feature columns named {name}:"):
        opened(f"a,{name},y\n1,2,1\n")


def test_the_target_may_bear_any_name() -> None:
    """A target called `label` is what most files have."""
    assert rows(opened("v1,label\n2,1\n", target="label")) == ([((2.0,), 1)], [])


def test_a_file_that_lacks_known_features_is_refused_with_their_names() -> None:
    """Five names show the pattern; the rest is counted."""
    wanted = ",".join(f"v{number}" for number in range(8))
    contract = known(f"{wanted},y\n1,1,1,1,1,1,1,1,1\n")
    with pytest.raises(FileRefusedError, match=r"7 of 8 .*: v1, v2, v3, v4, v5 and more"):
        opened("v0,y\n1,1\n", contract=contract)


def test_the_first_batch_shows_which_columns_hold_categories() -> None:
    """Mostly numbers is a number; what is missing does not count."""
    text = "n,c,e,y\n1,x,,1\n2,1,NA,1\nx,y,,1\n"
    assert [column.kind for column in known(text).columns] == ["number", "category", "number"]


def test_the_spec_stands_above_what_the_first_batch_shows() -> None:
    """Codes that look like numbers are categories where the spec says so."""
    ingested = opened("n,c,y\n1,1,1\n2,01,0\nx,2,0\n", categorical=("c",))
    assert ingested.contract.categories == ("c",)
    good, refused = rows(ingested)
    assert good == [((1.0, "1"), 1), ((2.0, "01"), 0)]
    assert [row.column for row in refused] == ["n"]


def test_texts_that_hardly_recur_are_categories_where_the_spec_says_so() -> None:
    """The spec's word ends the matter."""
    text = "t,y\n" + "".join(f"text {number},1\n" for number in range(1100))
    assert known(text, categorical=("t",)).categories == ("t",)


def test_a_retyped_text_column_costs_its_rows() -> None:
    """Text has no types, so a file of words for numbers is bad rows, all of them."""
    good, refused = rows(opened("v1,v2,y\nx,1,1\nz,1,1\n", contract=known()))
    assert (good, len(refused)) == ([], 2)


def test_a_header_alone_is_a_delivery_of_no_rows() -> None:
    """Nothing is bad about it, and nothing is in it."""
    assert rows(opened("v1,y\n")) == ([], [])


def test_what_a_batch_showed_is_in_the_contract_and_later_batches_are_held_to_it() -> None:
    """Ranges and categories of all parts together; missing is never outside."""
    data: dict[str, Any] = {"missing": ("*",), "categorical": ("c",)}
    first, second = "n,c,y\n1,x,1\n5,,0\n", "n,c,y\n-1,z,1\n,x,0\n"
    contract = known(first, **data)
    one, two = (
        next(opened(text, contract=contract, **data).parts).frame for text in (first, second)
    )
    fixed = with_ranges_seen(contract, summary_of(one, contract).merge(summary_of(two, contract)))
    assert fixed.columns == (
        Column("n", ColumnKind.NUMBER, missing=True, seen=(-1, 5)),
        Column("c", ColumnKind.CATEGORY, missing=True, categories=("x", "z")),
    )
    assert outside_ranges(one, fixed) == outside_ranges(two, fixed) == {}
    assert outside_ranges(two, with_ranges_seen(contract, summary_of(one, contract))) == {
        "n": 1,
        "c": 1,
    }


def test_raw_texts_are_whole_rows_by_their_first_line() -> None:
    """Line 1 is the header, no row; a row that spans lines is one text."""
    content = b'\xef\xbb\xbfid,y\r\n"a\nb",1\r\nc,\xff\n'
    assert raw_texts(io.BytesIO(content), "x.csv", {1, 2, 4, 9}, StatedFormat("y")) == {
        2: '"a\nb",1',
        4: r"c,\xff",
    }
