"""The sticky split: which side a new row stands on, for good.

Old assignments never change, and rows with equal features share a side. Class by class, the new
rows with the smallest salted hashes top the holdout up to its share of all rows seen so far, so
nothing about the order of a file decides where a row goes.

After every batch the holdout of each class is within one row of its share of all rows of the
class, as long as no key comes with both labels. Where keys do (`conflicts = "keep"`), a row whose
features history already has stands where they stand, and two new rows with equal features go
together; then the class that is furthest from its share is as near to it as those rows allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

TRAIN, HOLDOUT = "train", "holdout"
SIDES = pl.Enum([TRAIN, HOLDOUT])
_KEYS = ("key_high", "key_low")
_LABELS = (0, 1)
Order = NDArray[np.uint64]


@dataclass(frozen=True)
class ClassCounts:
    """How many rows of one class history has, and how many of them are holdout."""

    rows: int = 0
    holdout: int = 0


@dataclass(frozen=True)
class _Free:
    """How many rows of one class the salted order decides, and how many the holdout lacks."""

    singles: int
    lacking: float


def split(
    frame: pl.DataFrame,
    standing: Mapping[int, ClassCounts],
    forced: pl.DataFrame,
    holdout: float,
    salt: str,
) -> pl.DataFrame:
    """Add `side`, an Enum of train and holdout, to new rows.

    `frame` has `label` (0 or 1), `key_high`, `key_low` and `twin`, and each pair of key and label
    once; `standing` says per label what history holds, a label without history may be left out;
    `forced` has `key_high`, `key_low` and `side` of the rows of history that a `twin` repeats.
    `holdout` is the share of the holdout in each class.
    """
    if frame.is_empty():
        return frame.with_columns(side=pl.lit(None, SIDES))
    held = _of_history(frame, forced)
    decided = frame["twin"].to_numpy()
    paired = _paired(frame) & ~decided
    labels = frame["label"].to_numpy()
    singles = [(labels == label) & ~decided & ~paired for label in _LABELS]
    free = [
        _Free(int(singles[label].sum()), _lacking(standing, labels, held, label, holdout))
        for label in _LABELS
    ]
    pairs = _pairs(int(paired.sum()) // 2, holdout, free)
    order = salted_order(frame, salt)
    held |= _smallest(frame, order, paired, 2 * pairs)
    for rows, one in zip(singles, free, strict=True):
        held |= _smallest(frame, order, rows, _nearest(one, pairs))
    side = (
        pl.when(pl.lit(pl.Series(held)))
        .then(pl.lit(HOLDOUT, SIDES))
        .otherwise(pl.lit(TRAIN, SIDES))
    )
    return frame.with_columns(side=side)


def salted_order(frame: pl.DataFrame, salt: str) -> Order:
    """Return a 64-bit number per row that its key and the salt alone decide.

    Twice the finaliser of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number
    Generators, 2014; the constants are Stafford's mix 13), fed with the XXH3-64 of the salt and
    `key_high`, then with the result and `key_low`.
    """
    seed = np.uint64(xxhash.xxh3_64_intdigest(salt.encode()))
    high, low = (frame[name].to_numpy().view(np.uint64) for name in _KEYS)
    return _mixed(_mixed(high ^ seed) ^ low)


def _mixed(words: Order) -> Order:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _of_history(frame: pl.DataFrame, forced: pl.DataFrame) -> NDArray[np.bool_]:
    """Say of each row whether history has its features in the holdout."""
    inside = forced.filter(pl.col("side").cast(pl.String) == HOLDOUT)
    rows = frame.select(_KEYS).with_row_index("row")
    held = np.zeros(frame.height, np.bool_)
    held[rows.filter(frame["twin"]).join(inside, on=_KEYS, how="semi")["row"]] = True
    return held


def _paired(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Say of each row whether its key is there twice, with both labels."""
    high = frame["key_high"].sort()
    # Looking at half the key first spares all but a few rows a table of whole keys.
    suspect = high.filter(high == high.shift(1)).unique().to_frame()
    rows = frame.select(_KEYS).with_row_index("row").join(suspect, on="key_high", how="semi")
    paired = np.zeros(frame.height, np.bool_)
    paired[rows.filter(pl.struct(_KEYS).is_duplicated())["row"]] = True
    return paired


def _lacking(
    standing: Mapping[int, ClassCounts],
    labels: NDArray[np.int8],
    held: NDArray[np.bool_],
    label: int,
    share: float,
) -> float:
    """How many rows a class's holdout lacks to its share once the forced rows are in."""
    was, mine = standing.get(label, ClassCounts()), labels == label
    return share * (was.rows + int(mine.sum())) - was.holdout - int((held & mine).sum())


def _pairs(count: int, share: float, free: list[_Free]) -> int:
    """How many of the new keys that come with both labels are held out.

    Each counts in both classes. Of the numbers that leave the worse class nearest to its share
    and then both together, take the one nearest to the share of the pairs themselves.
    """
    tried = np.arange(count + 1)
    missed = [np.abs(tried + _nearest_of(one, tried) - one.lacking) for one in free]
    away = np.abs(tried - share * count)
    return int(np.lexsort((away, missed[0] + missed[1], np.maximum(*missed)))[0])


def _nearest(free: _Free, pairs: int) -> int:
    return int(_nearest_of(free, np.array([pairs]))[0])


def _nearest_of(free: _Free, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many single rows bring a class nearest to its share beside so many pairs."""
    wanted: NDArray[np.int64] = np.floor(free.lacking - pairs + 0.5).astype(np.int64)
    return np.minimum(np.maximum(wanted, 0), free.singles)


def _smallest(
    frame: pl.DataFrame, order: Order, among: NDArray[np.bool_], count: int
) -> NDArray[np.bool_]:
    """Mark the `count` rows that come first in the salted order; equal ones go by key."""
    marked = np.zeros(len(order), np.bool_)
    if count == 0:
        return marked
    bound = np.partition(order[among], count - 1)[count - 1]
    marked[among & (order < bound)] = True
    ties = frame.select(_KEYS).with_row_index("row").filter(pl.Series(among & (order == bound)))
    marked[ties.sort(_KEYS)["row"].head(count - int(marked.sum()))] = True
    return marked
