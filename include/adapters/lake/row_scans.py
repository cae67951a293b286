"""Queries on the rows of a lake: keys to compare a batch with, and matrices to fit a model on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from include.records.arrays import Block, Labels, Matrix
from include.records.data import Counts
from include.records.row_columns import ARRIVED_AT, BATCH, ID, KEY_HIGH, KEY_LOW, KEYS, LABEL, SIDE
from include.spec.contract import Contract
from serving.bundle import Layout, Value
from serving.values.notation import PLAIN

_ORDER = (*KEYS, LABEL)
_CACHE_LINE = 16
"""Number of float32 columns in a cache line of 64 bytes; the matrix is written in such strips."""
MATCH_SCHEMA = pl.Schema({KEY_HIGH: pl.Int64, KEY_LOW: pl.Int64, LABEL: pl.Int8, SIDE: pl.String})

IDENTIFIED_SCHEMA = pl.Schema(MATCH_SCHEMA)
IDENTIFIED_SCHEMA[ID] = pl.String()
IDENTIFIED_SCHEMA[ARRIVED_AT] = pl.Datetime("us", "UTC")


def matches(rows: pl.LazyFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Return `key_high`, `key_low`, `label` and `side` of the rows with one of the keys."""
    asked = keys.select(KEYS).lazy()
    found = rows.select(list(MATCH_SCHEMA)).join(asked, on=KEYS, how="semi")
    return found.collect(engine="streaming").cast(MATCH_SCHEMA)


def identified(rows: pl.LazyFrame, batches: pl.DataFrame) -> pl.DataFrame:
    """Return what `IDENTIFIED_SCHEMA` names of the rows that share an id or a key with others.

    `batches` has `id`, `key_high` and `key_low`.
    """
    known = rows.select(list(IDENTIFIED_SCHEMA))
    by_id = known.join(batches.lazy().select(ID), on=ID, how="semi")
    by_key = known.join(batches.lazy().select(KEYS), on=KEYS, how="semi")
    # A row may be found both ways; one without an id is found by its key alone.
    others = by_key.join(batches.lazy().select(ID), on=ID, how="anti")
    found = pl.concat(pl.collect_all([by_id, others], engine="streaming"))
    return found.cast(IDENTIFIED_SCHEMA)


@dataclass(frozen=True)
class SharedKeys:
    """The result of comparing the keys of two sets of rows."""

    others: int
    """Number of the rows that were compared with."""
    shared: int
    """Number of rows with the key of one of the others."""


def count_shared(others: pl.LazyFrame, rows: pl.LazyFrame) -> SharedKeys:
    """Count the rows that have the key of one of the others.

    `rows` should be the smaller set: its keys are held in memory, the others are streamed.
    """
    asked = rows.select(KEYS)
    streamed = others.select(KEYS)
    met = streamed.join(asked, on=KEYS, how="semi").unique()
    hits = asked.join(met, on=KEYS, how="semi")
    counted = pl.collect_all([streamed.select(pl.len()), hits.select(pl.len())], engine="streaming")
    return SharedKeys(*(int(frame.item()) for frame in counted))


def only(rows: pl.LazyFrame, where: pl.Expr | None) -> pl.LazyFrame:
    """Return the rows that meet a condition; all rows when there is none."""
    return rows if where is None else rows.filter(where)


def batches(rows: pl.LazyFrame) -> list[str]:
    """Return the digests of the batches that the rows are from."""
    found = rows.select(pl.col(BATCH).unique().sort()).collect(engine="streaming")
    return found[BATCH].to_list()


def count(rows: pl.LazyFrame) -> int:
    """Return how many rows there are."""
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def per_batch(rows: pl.LazyFrame) -> dict[str, int]:
    """Return the number of rows of each batch, by digest."""
    found = rows.group_by(BATCH).agg(pl.len()).collect(engine="streaming")
    return dict(found.iter_rows())


def sides(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return batch, arrival, key and side of rows, sorted by key."""
    return rows.select(BATCH, ARRIVED_AT, *KEYS, SIDE).sort(KEYS).collect(engine="streaming")


def classes(rows: pl.LazyFrame) -> Counts:
    """Return the rows per class."""
    found = rows.select(positive=pl.col(LABEL).sum(), rows=pl.len()).collect(engine="streaming")
    positive = int(found["positive"][0])
    return {"negative": int(found["rows"][0]) - positive, "positive": positive}


def matrix(rows: pl.LazyFrame, layout: Layout) -> tuple[Matrix, Labels]:
    """Return features, float32, and labels, sorted by key and label, whatever the files' order."""
    frame = rows.select(*_ORDER, *_numbered(layout)).collect(engine="streaming")
    order = frame.select(pl.arg_sort_by(_ORDER)).to_series()
    labels = frame[LABEL].gather(order).to_numpy()
    return _gathered(frame.drop(_ORDER), order), np.ascontiguousarray(labels)


def blocks(files: Iterable[tuple[pl.LazyFrame, int]], layout: Layout, rows: int) -> Iterator[Block]:
    """Yield features and labels in blocks of `rows` rows; the last block has the rest.

    `files` are frames with their numbers of rows; the order of files and rows is kept.
    """
    for pieces in _cut(files, rows):
        frame = pl.concat(pieces).select(LABEL, *_numbered(layout)).collect()
        labels = np.ascontiguousarray(frame[LABEL].to_numpy())
        yield _gathered(frame.drop(LABEL), pl.int_range(frame.height, eager=True)), labels


def layout(rows: pl.LazyFrame, contract: Contract) -> Layout:
    """Return the matrix layout: the contract's features, with the categories in the rows."""
    distinct = [pl.col(name).drop_nulls().unique().sort().implode() for name in contract.categories]
    frame = rows.select(distinct).collect(engine="streaming") if distinct else pl.DataFrame()
    return Layout(
        features=contract.features,
        categories={name: tuple(frame[name][0]) for name in contract.categories},
        missing=tuple(column.name for column in contract.columns if column.missing),
        notations={one.name: one.notation for one in contract.columns if one.notation != PLAIN},
        spelling=contract.spelling,
        id=contract.id,
    )


def sample(rows: pl.LazyFrame, features: Iterable[str], count: int) -> list[tuple[Value, ...]]:
    """Return the first rows by key, as Python values."""
    first = rows.select(*features, *_ORDER).bottom_k(count, by=_ORDER).sort(_ORDER)
    return first.drop(_ORDER).collect(engine="streaming").rows()


def _cut(files: Iterable[tuple[pl.LazyFrame, int]], rows: int) -> Iterator[list[pl.LazyFrame]]:
    """Yield, for each block of `rows` rows, the slices of files that it consists of."""
    pieces: list[pl.LazyFrame] = []
    room = rows
    for file, height in files:
        start = 0
        while start < height:
            taken = min(room, height - start)
            pieces.append(file.slice(start, taken))
            start, room = start + taken, room - taken
            if not room:
                yield pieces
                pieces, room = [], rows
    if pieces:
        yield pieces


def _numbered(layout: Layout) -> list[pl.Expr]:
    """Return the matrix columns, named by number: features may have names of the lake's own."""
    return [_as_number(name, layout).alias(f"f{at}") for at, name in enumerate(layout.features)]


def _as_number(name: str, layout: Layout) -> pl.Expr:
    known = layout.categories.get(name)
    if known is None:
        return pl.col(name).cast(pl.Float32)
    # A category that the layout does not know becomes null, as a missing one is.
    return pl.col(name).cast(pl.Enum(known), strict=False).to_physical().cast(pl.Float32)


def _gathered(columns: pl.DataFrame, order: pl.Series) -> Matrix:
    """Return the columns as a C-order float32 matrix, rows in `order`, missing values as NaN."""
    X = np.empty((columns.height, columns.width), np.float32)
    for at in range(0, columns.width, _CACHE_LINE):
        some = columns[:, at : at + _CACHE_LINE].select(pl.all().gather(order))
        X[:, at : at + some.width] = some.to_numpy()
    return X
