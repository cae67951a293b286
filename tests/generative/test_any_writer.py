"""The same rows, whoever writes them, in whatever format and notation, are the same rows."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from include.records.row_columns import KEYS
from include.spec.contract import Contract
from include.spec.model_spec import Spec
from include.stages.dedup import with_keys
from include.stages.ingest import ingest, summary_of, with_ranges_seen
from serving.bundle import Layout, encode_column

FEWER = settings(max_examples=settings().max_examples * 5 // 12)
"""Each example is written in every way, and each way comes first once."""
COLUMNS = ("amount", "member", "plan", "zone", "since", "y")
Row = tuple[float | None, bool, str, int, date, bool]
Write = Callable[[Sequence[Row]], tuple[str, bytes]]


def features(row: Row) -> tuple[Any, ...]:
    """Return what a row is but for its label."""
    return row[:-1]


AMOUNTS = st.none() | st.integers(-9_999_999, 9_999_999).map(lambda cents: cents / 100)
ROWS = st.lists(
    st.tuples(
        AMOUNTS,
        st.booleans(),
        st.sampled_from(["basic", "caf\u00e9", "pro max", "10-20", "007"]),
        st.integers(0, 40),
        st.dates(date(1950, 1, 1), date(2080, 1, 1)),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=features,
)
# The first file: it has both truths, a gap, an amount above 1,000 and a day beyond the twelfth.
FIRST: list[Row] = [
    (1234.5, True, "basic", 1, date(2024, 1, 26), True),
    (None, False, "pro max", 2, date(1999, 12, 31), False),
]


def spec() -> Spec:
    """Return a spec whose labels are truths and in which zones are categories."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    data = {
        "target": "y",
        "positive": True,
        "negative": False,
        "categorical": ["plan", "zone"],
        "notation": {
            "amount": {"thousands": ",", "currency": "$", "parentheses": True},
            "since": {"date": "%d-%b-%Y"},
        },
    }
    return Spec.model_validate(fields | {"data": data})


def keyed(named: tuple[str, bytes], contract: Contract | None = None) -> tuple[Contract, list[Any]]:
    """Return the contract and the keys and labels of a file's rows."""
    name, content = named
    ingested = ingest(io.BytesIO(content), name, spec(), contract)
    parts = list(ingested.parts)
    assert [row for part in parts for row in part.refused] == []
    held = ingested.contract
    if contract is None:
        held = with_ranges_seen(held, summary_of(parts[0].frame, held))
    rows = [
        row for part in parts for row in with_keys(part.frame, held).select(*KEYS, "label").rows()
    ]
    return held, rows


def written(rows: Sequence[Row], truths: tuple[str, str]) -> list[list[str]]:
    """Return the cells of rows as an office program writes them."""
    cells = []
    for amount, member, plan, zone, since, label in rows:
        money = "" if amount is None else f"${abs(amount):,.2f}"
        spread = f"({money})" if amount is not None and amount < 0 else money
        said = [truths[member], truths[label]]
        cells.append([spread, said[0], f" {plan} ", f"{zone}.0", f"{since:%d-%b-%Y}", said[1]])
    return cells


def by_csv(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Write with the csv module, everything in quotes, truths in capitals."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([COLUMNS, *written(rows, ("FALSE", "TRUE"))])
    return "a.csv", text.getvalue().encode()


def by_json(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Write JSON lines with numbers and truths of its own, missing keys left out."""
    objects = [
        {
            **({} if amount is None else {"amount": amount}),
            "member": member,
            "plan": plan.replace("\u00e9", "e\u0301"),
            "zone": zone,
            "since": f"{since:%d-%b-%Y}",
            "y": label,
        }
        for amount, member, plan, zone, since, label in rows
    ]
    return "b.jsonl", "\n".join(json.dumps(one) for one in objects).encode()


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as pandas has them."""
    made = pd.DataFrame(list(rows), columns=list(COLUMNS))
    made["amount"] = made["amount"].astype(float)
    made["since"] = pd.to_datetime(made["since"])
    return made


def by_pandas_csv(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Write CSV with pandas, its index too, whose column has no name."""
    made = frame(rows)
    made["since"] = made["since"].dt.strftime("%d-%b-%Y")
    return "c.csv", made.to_csv().encode()


def by_pandas_parquet(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Write Parquet with pandas, an index that is no range with it."""
    made = frame(rows)
    made.index = np.arange(len(made))[::-1] * 7
    buffer = io.BytesIO()
    made.to_parquet(buffer)
    return "d.parquet", buffer.getvalue()


def by_polars_parquet(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Write Parquet with polars, zones as small integers, plans as categories."""
    made = pl.DataFrame(list(rows), schema=list(COLUMNS), orient="row")
    buffer = io.BytesIO()
    made.with_columns(
        pl.col("zone").cast(pl.Int8),
        pl.col("plan").cast(pl.Categorical),
        pl.col("amount").cast(pl.Float64),
    ).write_parquet(buffer)
    return "e.parquet", buffer.getvalue()


def by_arrow_parquet(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Write Parquet with pyarrow, zones as floats, days as moments in nanoseconds."""
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    table = pa.table(
        {
            "amount": pa.array(columns["amount"], pa.float64()),
            "member": pa.array(columns["member"]),
            "plan": pa.array(columns["plan"]).dictionary_encode(),
            "zone": pa.array(columns["zone"], pa.float64()),
            "since": pa.array(columns["since"], pa.date32()).cast(pa.timestamp("ns")),
            "y": pa.array(columns["y"]),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return "f.parquet", buffer.getvalue()


WRITERS: list[Write] = [
    by_csv,
    by_json,
    by_pandas_csv,
    by_pandas_parquet,
    by_polars_parquet,
    by_arrow_parquet,
]


@given(rows=ROWS)
@FEWER
def test_whoever_writes_rows_they_are_the_same(rows: list[Row]) -> None:
    """Whichever file comes first, all others are its duplicates."""
    for first in WRITERS:
        contract, _ = keyed(first(FIRST))
        files = [keyed(write(rows), contract)[1] for write in WRITERS]
        assert files == [files[0]] * len(WRITERS), first.__name__


@given(rows=ROWS)
@FEWER
def test_the_endpoint_reads_each_spelling_as_training_does(rows: list[Row]) -> None:
    """Texts as they stand in a file, numbers and truths: all stand for one value."""
    notations = {
        name: notation
        for name in ("amount", "since")
        if (notation := spec().data.notation_of(name))
    }
    layout = Layout(
        COLUMNS[:-1],
        {"plan": ("007", "10-20", "basic", "caf\u00e9", "pro max"), "zone": ("1", "2", "3")},
        ("amount",),
        notations,
        2,
    )
    for (amount, _, plan, zone, since, _), cells in zip(
        rows, written(rows, ("no", "yes")), strict=True
    ):
        days = float((since - date(1970, 1, 1)).days)
        spellings: dict[str, list[Any]] = {
            "amount": [amount, cells[0] or None],
            "plan": [plan, cells[2], plan.replace("\u00e9", "e\u0301")],
            "zone": [str(zone), zone, float(zone), cells[3]],
            "since": [days, cells[4], f"{since:%d-%b-%Y} 00:00:00Z"],
        }
        for name, values in spellings.items():
            standing = encode_column(layout, name, values)
            assert len({str(one) for one in standing}) == 1, (name, values, standing)
