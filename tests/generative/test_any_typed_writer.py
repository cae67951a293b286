"""Rows of every type, whichever library writes them, in every quoting, are the same rows."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.records.row_columns import KEYS
from include.spec.contract import Contract
from include.spec.model_spec import Spec
from include.stages.dedup import with_keys
from include.stages.ingest import ingest, summary_of, with_ranges_seen

FEWER = settings(max_examples=settings().max_examples // 3)
"""Each example is written and read in every way."""
SCHEMA: dict[str, Any] = {
    "size": pl.Float64,
    "count": pl.Int64,
    "member": pl.Boolean,
    "city": pl.String,
    "day": pl.Date,
    "at": pl.Datetime("us"),
    "zone": pl.Int64,
    "y": pl.Int64,
}
Row = tuple[Any, ...]
File = tuple[str, bytes]
_TINY = 1e-320
ROWS = st.lists(
    st.tuples(
        st.none()
        | st.sampled_from([-0.0, 0.0, _TINY, -_TINY, 1e22, 0.1])
        | st.floats(-1e38, 1e38, allow_nan=False),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.none() | st.booleans(),
        st.sampled_from(["caf\u00e9", "\u65e5\u672c", "a,b", "x;y|z", 'say "hi"', " pad\t", "NA"]),
        st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - as files have it
        st.none() | st.integers(0, 40),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)
FIRST: list[Row] = [
    (1.5, 7, True, "x", date(2024, 1, 26), datetime(2024, 1, 26, 12), 1, 1),  # noqa: DTZ001
    (None, 8, None, "y", None, datetime(1999, 12, 31), None, 0),  # noqa: DTZ001
    (2.5, 9, False, "z", None, datetime(1999, 12, 31), 2, 0),  # noqa: DTZ001
]


def files(rows: Sequence[Row]) -> list[File]:
    """Return the rows as each library writes them, those of polars as Parquet first."""
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return [*_typed(frame), *_texts(frame), *_by_csv(frame)]


def _typed(frame: pl.DataFrame) -> list[File]:
    by_polars, by_pyarrow, by_pandas = io.BytesIO(), io.BytesIO(), io.BytesIO()
    frame.write_parquet(by_polars)
    table = frame.to_arrow()
    pq.write_table(table.set_column(5, "at", table["at"].cast(pa.timestamp("us"))), by_pyarrow)
    _in_pandas(frame).to_parquet(by_pandas)
    files = {"polars": by_polars, "pyarrow": by_pyarrow, "pandas": by_pandas}
    return [(f"{name}.parquet", file.getvalue()) for name, file in files.items()]


def _texts(frame: pl.DataFrame) -> list[File]:
    by_pyarrow = io.BytesIO()
    pc.write_csv(frame.to_arrow(), by_pyarrow)
    objects = [
        {name: value for name, value in row.items() if value is not None}
        for row in frame.iter_rows(named=True)
    ]
    lines = "\n".join(json.dumps(one, default=lambda value: value.isoformat()) for one in objects)
    texts = {
        "pandas.csv": _in_pandas(frame).to_csv(),
        "pandas.tsv": _in_pandas(frame).to_csv(index=False, sep="\t", quoting=csv.QUOTE_ALL),
        "polars.jsonl": frame.write_ndjson(),
        "polars.csv": frame.write_csv(quote_style="non_numeric"),
        "polars.tsv": frame.write_csv(separator="\t", quote_style="always"),
        "json.jsonl": lines,
    }
    return [("pyarrow.csv", by_pyarrow.getvalue()), *((n, t.encode()) for n, t in texts.items())]


def _by_csv(frame: pl.DataFrame) -> list[File]:
    written = []
    for separator in ",;|\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
            text = io.StringIO()
            writer = csv.writer(text, delimiter=separator, quoting=quoting)
            writer.writerows([frame.columns, *frame.rows()])
            written.append((f"{quoting}.csv", text.getvalue().encode()))
    return written


def _in_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    types = {"member": "boolean", "zone": "Int64"}
    return pd.DataFrame(
        {name: pd.Series(frame[name].to_list(), dtype=types.get(name)) for name in frame.columns}
    )


def keyed(file: File, contract: Contract | None = None) -> tuple[Contract, list[Row]]:
    """Return the contract and the keys and labels of a file without a bad row."""
    name, content = file
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    data = {"target": "y", "categorical": ["city", "zone"], "missing": ["*"]}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,), "data": data}
    ingested = ingest(io.BytesIO(content), name, Spec.model_validate(fields), contract)
    parts = list(ingested.parts)
    assert [row for part in parts for row in part.refused] == []
    held = contract or with_ranges_seen(
        ingested.contract, summary_of(parts[0].frame, ingested.contract)
    )
    keys = [with_keys(part.frame, held).select(*KEYS, "label") for part in parts]
    return held, [row for frame in keys for row in frame.rows()]


@given(rows=ROWS)
@FEWER
def test_whichever_library_writes_rows_they_are_the_same(rows: list[Row]) -> None:
    """Tiny and huge numbers, truths and dates with gaps, accents, every quoting and separator."""
    contract, _ = keyed(files(FIRST)[0])
    written = files(rows)
    expected = keyed(written[0], contract)[1]
    for file in written:
        assert keyed(file, contract)[1] == expected, file


@pytest.mark.long
def test_whichever_library_comes_first_the_rest_are_its_rows() -> None:
    """The first file fixes kinds and notations, and each is read to the same ones."""
    written = files(FIRST)
    for first in written:
        contract, expected = keyed(first)
        for file in written:
            assert keyed(file, contract)[1] == expected, (first, file)
