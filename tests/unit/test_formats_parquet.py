import io
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import FileRefusedError
from include.formats.parsed_table import StatedFormat
from include.spec.contract import Contract
from include.spec.model_spec import Spec
from include.stages.ingest import DeliveryReading, ingest, raw_texts


def a_spec(**data: Any) -> Spec:
    """Return a spec with these fields of its data part."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    return Spec.model_validate(fields | {"data": {"target": "y"} | data})


def written(columns: dict[str, Any], **options: Any) -> io.BytesIO:
    """Return a Parquet file with these columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    file.seek(0)
    return file


def opened(
    columns: dict[str, Any], contract: Contract | None = None, size: int = 1 << 20, **data: Any
) -> DeliveryReading:
    """Start to ingest a Parquet file."""
    return ingest(written(columns), "x.parquet", a_spec(**data), contract, size)


def frame(ingested: DeliveryReading) -> pl.DataFrame:
    """Return all good rows."""
    return pl.concat([part.frame for part in ingested.parts])


def test_every_kind_of_number_and_text_is_read() -> None:
    """Whole numbers, floats, truths and decimals are numbers; texts and dictionaries categories."""
    ingested = opened(
        {
            "i": pa.array([2**60, 1], pa.int64()),
            "u": pa.array([1, 255], pa.uint8()),
            "f": pa.array([0.5, -2], pa.float32()),
            "b": [True, False],
            "d": [Decimal("1.25"), Decimal("-3.00")],
            "s": [" x ", "y"],
            "k": pa.array(["p", "q"]).dictionary_encode(),
            "y": [True, False],
        }
    )
    assert ingested.contract.categories == ("s", "k")
    assert frame(ingested).rows() == [
        (2, float(2**60), 1.0, 0.5, 1.0, 1.25, "x", "p", 1),
        (3, 1.0, 255.0, -2.0, 0.0, -3.0, "y", "q", 0),
    ]


def test_missing_is_null_and_nan() -> None:
    """Both are null, unless the spec says that they must be there: then they refuse the row."""
    columns = {"n": [1.0, None, float("nan")], "s": ["x", None, ""], "y": [1, 0, 1]}
    lenient = frame(opened(columns, missing=("*",)))
    assert lenient.select("n", "s").rows() == [(1.0, "x"), (None, None), (None, None)]
    (part,) = opened(columns, required=("n",)).parts
    assert [(row.line, row.column, row.reason) for row in part.refused] == [
        (3, "n", "missing value"),
        (4, "n", "missing value"),
    ]


def test_a_refused_row_keeps_its_text_as_json() -> None:
    """All of its columns, so that it can be mended and sent again as JSON lines."""
    columns = {"n": [1.0, float("inf")], "other": [{"a": 1}, {"a": 2}], "y": [1, 0]}
    (part,) = opened(columns, features=("n",)).parts
    (refused,) = part.refused
    assert json.loads(refused.raw) == {"n": float("inf"), "other": {"a": 2}, "y": 0}
    assert raw_texts(written(columns), "x.parquet", {3}, StatedFormat("y")) == {3: refused.raw}


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([2**62, 0], pa.timestamp("us")),
        pa.array([2**30, 0], pa.date32()),
        pa.array([1, 0], pa.timestamp("us", "Mars/Phobos")),
    ],
)
def test_a_value_that_cannot_be_shown_refuses_no_other_row(odd: Any) -> None:
    """Only the text of a refused row is made of columns that are not read."""
    columns = {"n": [float("inf"), 1.0], "other": odd, "y": [1, 0]}
    (part,) = opened(columns, features=("n",)).parts
    assert json.loads(part.refused[0].raw)["other"] == "a value that cannot be shown"
    assert part.frame["n"].to_list() == [1.0]


def test_bytes_of_a_refused_row_are_shown_as_text() -> None:
    """What is not UTF-8 among them is escaped."""
    columns = {"n": [float("inf"), 1.0], "other": [b"a\xff", b"b"], "y": [1, 0]}
    (part,) = opened(columns, features=("n",)).parts
    assert json.loads(part.refused[0].raw)["other"] == "a\\xff"


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([{"a": 1}]),
        pa.array([["a"]]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([b"a"]),
    ],
)
def test_a_first_file_with_a_feature_of_no_kind_names_it(odd: Any) -> None:
    """In plain words, before anything is made of the values."""
    with pytest.raises(FileRefusedError, match="neither numbers nor text is in the columns odd"):
        opened({"odd": odd, "y": [1]})
    with pytest.raises(FileRefusedError, match="the target y holds neither numbers nor text"):
        opened({"n": [1], "y": odd})


def test_a_large_file_comes_in_parts_whose_lines_go_on() -> None:
    """Rows are numbered over all row groups."""
    numbers = [float(number) for number in range(1000)]
    ingested = opened({"n": numbers, "y": [1] * 1000}, size=1)
    parts = list(ingested.parts)
    assert len(parts) > 1
    assert pl.concat([part.frame for part in parts])["line"].to_list() == list(range(2, 1002))


@pytest.mark.parametrize(
    ("columns", "data", "reason"),
    [
        (
            {"n": pa.array([1], pa.date32()), "y": [1]},
            {},
            "n holds dates where numbers should be",
        ),
        ({"n": [[1]], "y": [1]}, {}, "n holds neither numbers nor text where numbers should be"),
        ({"n": [1], "y": [[1]]}, {}, "the target y holds neither numbers nor text"),
        ({"m": [1], "y": [1]}, {}, "1 of 1 feature columns are missing: n"),
    ],
)
def test_a_file_with_a_retyped_column_is_refused(
    columns: dict[str, Any], data: dict[str, Any], reason: str
) -> None:
    """Later files have the kinds of the first."""
    contract = opened({"n": [1.0], "y": [1]}).contract
    with pytest.raises(FileRefusedError, match=reason):
        opened(columns, contract, **data)


def test_numbers_are_categories_where_the_spec_says_so() -> None:
    """Whole ones without a fraction, as a text file would have them."""
    columns = {"n": [7, None], "x": [7.0, 1.5], "t": [True, False], "y": [1, 0]}
    read = frame(opened(columns, categorical=("*",)))
    assert read.select("n", "x", "t").rows() == [("7", "7", "true"), (None, "1.5", "false")]


def test_texts_are_read_as_numbers_where_the_first_file_had_numbers() -> None:
    """As of a text file, row by row."""
    contract = opened({"n": [1.0], "y": [1]}).contract
    (part,) = opened({"n": ["2", "x"], "y": [1, 0]}, contract).parts
    assert part.frame["n"].to_list() == [2.0]
    assert [(row.line, row.reason, row.cell) for row in part.refused] == [(3, "not a number", "x")]


def test_a_file_that_is_no_parquet_says_so() -> None:
    """Neither the library's error nor its class comes out."""
    with pytest.raises(FileRefusedError, match="no Parquet file, or a damaged one"):
        ingest(io.BytesIO(b"v1,y\n1,1\n"), "x.parquet", a_spec(), None)


def test_text_that_is_not_utf_8_refuses_the_file() -> None:
    """A later reader would not look."""
    column = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")]
    )
    with pytest.raises(FileRefusedError, match="UTF8"):
        frame(opened({"s": column, "y": [1]}))
