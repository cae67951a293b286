"""Deduplication: the rows of a batch that history does not hold yet.

Duplicates are removed before the split and against all history: a row that stands on both sides of
the split, or that is counted twice, biases every later score. Rows are compared by a 128-bit hash
of their canonical values, so history is read as 16 bytes a row, however wide the row is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from include.records.row_columns import (
    KEY_HIGH,
    KEYS,
    LABEL,
    LINE,
    NEWEST_FORMAT,
    TableFormat,
)
from include.spec.contract import Contract
from include.spec.data_spec import Conflicts

_BUCKET = 500_000
"""Rows of a batch per bucket, see `_buckets`."""
_MISSING = bytes(16)
"""The digest that stands for a missing category."""


@dataclass(frozen=True)
class _Number:
    """The type of a number in the canonical row."""

    polars: pl.DataType
    numpy: type[np.floating]
    size: int
    """Bytes of it."""


_NUMBERS = {
    TableFormat.FIRST: _Number(pl.Float64(), np.float64, 8),
    TableFormat.SECOND: _Number(pl.Float32(), np.float32, 4),
}


@dataclass(frozen=True)
class NewRows:
    """What is left of a batch after the rows of history have been subtracted."""

    frame: pl.DataFrame
    """The new rows by line: `line`, `label`, `key_high`, `key_low`, and `twin`, which says that
    history holds the same features with the other label."""
    duplicates: int
    """Rows with features and label that this batch or history already has."""
    conflicts: pl.DataFrame
    """Rows with known features but another label, columns `line` and `label`."""


def with_keys(
    frame: pl.DataFrame, contract: Contract, form: TableFormat = NEWEST_FORMAT
) -> pl.DataFrame:
    """Add `key_high` and `key_low` (int64), the halves of the XXH3-128 of the canonical row.

    Two rows have one key when a model cannot tell them apart. The canonical row is the values of
    the contract's features one after another, ordered by the code points of the features' names. A
    number is the 4 bytes of the IEEE 754 single that is nearest to it, which is what a model gets,
    least significant first, with 0.0 for -0.0 and 0x7FC00000 for a missing one. A category is the
    16 bytes of the XXH3-128 of its UTF-8 text, most significant first; a missing one is 16 zero
    bytes. All seeds are 0. `key_high` is the most significant half of the result and `key_low` the
    other one, both as two's complement. So the order of columns, `1` or `1.0`, `-0.0` or `0.0`, and
    0.1 as a text, as float64 or as float32 make no difference.

    Example with a category `a` = "x" and a number `b` = 1.0, 20 bytes::

        5c7401c0ec22eeeeeaf06c6480b2cd11  0000803f   the canonical row
        key_high = -6941366707761293782, key_low = -8883641251812539774

    Keys of the first `form` are those of release 0.1.0: there a number is the 8 bytes of the double
    as it was delivered, with 0x7FF8000000000000 for a missing one.
    """
    row_bytes, width = _canonical(frame, contract, _NUMBERS[form])
    digest = xxhash.xxh3_128_digest
    joined = b"".join(
        [digest(row_bytes[start : start + width]) for start in range(0, len(row_bytes), width)]
    )
    halves = np.frombuffer(joined, ">i8").reshape(-1, 2).astype(np.int64)
    return frame.with_columns(
        pl.Series(name, np.ascontiguousarray(halves[:, half])) for half, name in enumerate(KEYS)
    )


def dedup(rows: pl.DataFrame, known: pl.DataFrame, conflicts: Conflicts) -> NewRows:
    """Subtract history from a keyed batch; of equal rows in the batch the first one stays.

    `rows` has `line`, `label`, `key_high` and `key_low` in the order of lines. `known` has the last
    three of every row of history that shares a key with the batch. `quarantine`: the label that is
    known first for a key stands, and a row with another label is a conflict. `keep`: such a row is
    new once, whatever history holds.

    Example, with features shortened to a key, where history holds key 9 with label 1::

        line  key  label   quarantine   keep
           2    7      1   new          new
           3    7      1   duplicate    duplicate
           4    7      0   conflict     new
           5    9      0   conflict     new, a twin
    """
    new, refused, twins = (np.zeros(rows.height, np.bool_) for _ in range(3))
    for part, history in _buckets(rows.select(LABEL, *KEYS).with_row_index("row"), known):
        identity = KEYS if conflicts is Conflicts.QUARANTINE else (*KEYS, LABEL)
        fresh = _first(part.join(history, on=identity, how="anti", maintain_order="left"), identity)
        new[fresh["row"]] = True
        if conflicts is Conflicts.QUARANTINE:
            refused[_contradicting(part, history, fresh)["row"]] = True
        else:
            twins[fresh.join(history, on=KEYS, how="semi")["row"]] = True
    frame = rows.select(LINE, LABEL, *KEYS).filter(new)
    return NewRows(
        frame.with_columns(twin=pl.Series(twins[new])),
        duplicates=rows.height - frame.height - int(refused.sum()),
        conflicts=rows.select(LINE, LABEL).filter(refused),
    )


def _buckets(
    rows: pl.DataFrame, known: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Cut both frames by key, so that equal keys stay together and a hash table fits the cache.

    As one join, 16 million rows take 3.3 GB and 40 s; in buckets they take a tenth of both.
    """
    count = 1 + rows.height // _BUCKET
    for bucket in range(count):
        within = pl.col(KEY_HIGH) % count == bucket
        yield rows.filter(within), known.filter(within)


def _first(rows: pl.DataFrame, identity: tuple[str, ...]) -> pl.DataFrame:
    return rows.filter(pl.struct(identity).is_first_distinct())


def _contradicting(rows: pl.DataFrame, history: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose key has a settled label that is not theirs."""
    if fresh.height == rows.height:
        return rows.clear()
    identity = [*KEYS, LABEL]
    settled = pl.concat([history.select(identity), fresh.select(identity)])
    return rows.join(settled, on=identity, how="anti")


def _canonical(frame: pl.DataFrame, contract: Contract, number: _Number) -> tuple[memoryview, int]:
    """Return the canonical rows one after another, and the number of bytes of each."""
    names, categories = sorted(contract.features), set(contract.categories)
    if categories:
        words = _mixed_words(frame, names, categories, number)
    else:
        numbers = frame.select(names).cast(number.polars)
        words = _numbers(numbers.to_numpy(order="c", writable=True))
    words = np.ascontiguousarray(words)
    return words.view(np.uint8).reshape(-1).data, words.shape[1] * number.size


def _mixed_words(
    frame: pl.DataFrame, names: list[str], categories: set[str], number: _Number
) -> NDArray[np.floating]:
    """Lay out rows of words: one for a number, as many as hold 16 bytes for a category."""
    of_text = len(_MISSING) // number.size
    width = len(names) + (of_text - 1) * len(categories)
    words = np.empty((frame.height, width), number.numpy)
    raw = words.view(np.uint8)
    place = 0
    for name in names:
        if name in categories:
            start = place * number.size
            raw[:, start : start + len(_MISSING)] = _text_bytes(frame[name])
            place += of_text
        else:
            words[:, place] = _numbers(frame[name].cast(number.polars).to_numpy(writable=True))
            place += 1
    return words


def _numbers(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Give the numbers one zero and one NaN, in place: equal values must have equal bytes."""
    # -0.0 + 0.0 is 0.0; every other number stays as it is.
    values += 0.0
    missing = np.isnan(values)
    if missing.any():
        values[missing] = np.nan
    return values


def _text_bytes(texts: pl.Series) -> NDArray[np.uint8]:
    """Return the digests of texts, shape (rows, 16); each distinct text is digested once."""
    distinct = texts.drop_nulls().unique()
    digests = b"".join([xxhash.xxh3_128_digest(text.encode()) for text in distinct])
    table = np.frombuffer(_MISSING + digests, np.int64).reshape(-1, 2)
    # Row 0 of the table stands for a missing text, so codes are moved up by one.
    codes = texts.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64) + 1
    return np.take(table, codes.fill_null(0).to_numpy(), axis=0).view(np.uint8)
