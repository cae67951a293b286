"""Rows out of the lake: what a batch is held against, and what a model is fitted on."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from include.adapters.lake.table import KEYS
from include.arrays import Labels, Matrix
from include.bundle import Layout, Value
from include.contract import Contract

_ORDER = (*KEYS, "label")
_CACHE_LINE = 16
"""Float32 columns that fill a cache line when a matrix is written row after row."""
MATCH_SCHEMA = pl.Schema(
    {"key_high": pl.Int64, "key_low": pl.Int64, "label": pl.Int8, "side": pl.String}
)


def matches(rows: pl.LazyFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Return `key_high`, `key_low`, `label` and `side` of the rows that have one of the keys."""
    asked = keys.select(KEYS).lazy()
    found = rows.select(list(MATCH_SCHEMA)).join(asked, on=KEYS, how="semi")
    return found.collect(engine="streaming").cast(MATCH_SCHEMA)


def matrix(rows: pl.LazyFrame, layout: Layout) -> tuple[Matrix, Labels]:
    """Return features and labels in the order of key and label, so that files decide nothing."""
    columns = [_as_number(name, layout) for name in layout.features]
    # Features are numbered: one may bear the name of a column of the lake.
    named = [column.alias(f"f{at}") for at, column in enumerate(columns)]
    frame = rows.select(*_ORDER, *named).collect(engine="streaming")
    order = frame.select(pl.arg_sort_by(_ORDER)).to_series()
    labels = frame["label"].gather(order).to_numpy()
    return _gathered(frame.drop(_ORDER), order), np.ascontiguousarray(labels)


def layout(rows: pl.LazyFrame, contract: Contract) -> Layout:
    """Return the contract's features, with the categories that the rows have."""
    distinct = [pl.col(name).drop_nulls().unique().sort().implode() for name in contract.categories]
    frame = rows.select(distinct).collect(engine="streaming") if distinct else pl.DataFrame()
    return Layout(
        features=contract.features,
        categories={name: tuple(frame[name][0]) for name in contract.categories},
        missing=tuple(column.name for column in contract.columns if column.missing),
    )


def sample(rows: pl.LazyFrame, features: Iterable[str], count: int) -> list[tuple[Value, ...]]:
    """Return the first rows by key, as Python values."""
    first = rows.select(*features, *_ORDER).bottom_k(count, by=_ORDER).sort(_ORDER)
    return first.drop(_ORDER).collect(engine="streaming").rows()


def _as_number(name: str, layout: Layout) -> pl.Expr:
    known = layout.categories.get(name)
    if known is None:
        return pl.col(name).cast(pl.Float32)
    # A category that the layout does not know becomes null, as a missing one is.
    return pl.col(name).cast(pl.Enum(known), strict=False).to_physical().cast(pl.Float32)


def _gathered(columns: pl.DataFrame, order: pl.Series) -> Matrix:
    """Return the columns as a C-order matrix in the order of rows, missing as NaN."""
    X = np.empty((columns.height, columns.width), np.float32)
    for at in range(0, columns.width, _CACHE_LINE):
        some = columns[:, at : at + _CACHE_LINE].select(pl.all().gather(order))
        X[:, at : at + some.width] = some.to_numpy()
    return X
