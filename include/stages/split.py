"""The sticky split: assigns each new row to the train side or the holdout, for good.

Earlier assignments never change, and rows with equal features share a side. In each class, the new
rows with the smallest salted hashes fill the holdout up to its share of all rows seen so far, so
the order of rows in a file has no influence on their side.

After every batch the holdout of each class is within one row of its share of all rows of the class,
as long as no key comes with both labels. Where keys do (`conflicts = "keep"`), a row whose features
history already holds takes the side that they have there, and two new rows with equal features stay
together; then the class that is furthest from its share is as near to it as those rows allow.

Example with a share of 0.2: history holds 7 positive rows, 1 of them holdout, and 93 negative ones,
19 of them holdout. A batch brings 3 positive and 7 negative rows. The holdout lacks 0.2 * (7 + 3) -
1 = 1 positive and 0.2 * (93 + 7) - 19 = 1 negative row, so in each class the row with the smallest
hash becomes holdout and the others train.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from include.records.row_columns import KEY_HIGH, KEYS, LABEL, SIDE, Side

_SIDES = pl.Enum(Side)
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
    """Add the column `side`, an Enum of train and holdout, to new rows.

    `frame` has `label` (0 or 1), `key_high`, `key_low` (int64) and `twin` (bool), and each pair of
    key and label once. `standing` gives per label what history holds; a label without history may
    be left out. `forced` has `key_high`, `key_low` and `side` of the rows of history that a `twin`
    repeats. `holdout` is the share of the holdout in each class, `salt` the text that the hashes
    are seeded by.
    """
    if frame.is_empty():
        return frame.with_columns(side=pl.lit(None, _SIDES))
    held = _of_history(frame, forced)
    decided = frame["twin"].to_numpy()
    paired = _paired(frame) & ~decided
    labels = frame[LABEL].to_numpy()
    singles = [(labels == label) & ~decided & ~paired for label in _LABELS]
    free = [
        _Free(int(singles[label].sum()), _lacking(standing, labels, held, label, holdout))
        for label in _LABELS
    ]
    pairs = _pairs(int(paired.sum()) // 2, holdout, free)
    order = salted_order(frame, salt)
    held |= _smallest(frame, order, paired, 2 * pairs)
    for rows, counts in zip(singles, free, strict=True):
        held |= _smallest(frame, order, rows, _nearest(counts, pairs))
    side = (
        pl.when(pl.lit(pl.Series(held)))
        .then(pl.lit(Side.HOLDOUT, _SIDES))
        .otherwise(pl.lit(Side.TRAIN, _SIDES))
    )
    return frame.with_columns(side=side)


def salted_order(frame: pl.DataFrame, salt: str) -> Order:
    """Return a uint64 per row, shape (rows,), that depends on its key and the salt alone.

    The finaliser of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number
    Generators, OOPSLA 2014; the constants are Stafford's mix 13) is applied twice, to the XXH3-64
    of the salt and `key_high`, then to the result and `key_low`::

        order = mix(mix(key_high ^ xxh3_64(salt)) ^ key_low)

    Key (0, 0) with the salt "ratchet" gives 12298538711888488768.
    """
    seed = np.uint64(xxhash.xxh3_64_intdigest(salt.encode()))
    high, low = (frame[name].to_numpy().view(np.uint64) for name in KEYS)
    return _mixed(_mixed(high ^ seed) ^ low)


def _mixed(words: Order) -> Order:
    """Apply the finaliser of SplitMix64: two rounds of xor-shift and multiply, and a last shift."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _of_history(frame: pl.DataFrame, forced: pl.DataFrame) -> NDArray[np.bool_]:
    """Mark each row whose features history has in the holdout."""
    inside = forced.filter(pl.col(SIDE).cast(pl.String) == Side.HOLDOUT)
    rows = frame.select(KEYS).with_row_index("row")
    held = np.zeros(frame.height, np.bool_)
    held[rows.filter(frame["twin"]).join(inside, on=KEYS, how="semi")["row"]] = True
    return held


def _paired(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Mark each row whose key comes twice in the batch, with both labels."""
    high = frame[KEY_HIGH].sort()
    # Looking at half the key first spares all but a few rows a table of whole keys.
    suspect = high.filter(high == high.shift(1)).unique().to_frame()
    rows = frame.select(KEYS).with_row_index("row").join(suspect, on=KEY_HIGH, how="semi")
    paired = np.zeros(frame.height, np.bool_)
    paired[rows.filter(pl.struct(KEYS).is_duplicated())["row"]] = True
    return paired


def _lacking(
    standing: Mapping[int, ClassCounts],
    labels: NDArray[np.int8],
    held: NDArray[np.bool_],
    label: int,
    share: float,
) -> float:
    """Return how many rows the holdout of a class lacks; negative where it has too many.

    share * (rows of history + new rows) - holdout of history - new rows that are forced into it.
    """
    was, mine = standing.get(label, ClassCounts()), labels == label
    return share * (was.rows + int(mine.sum())) - was.holdout - int((held & mine).sum())


def _pairs(count: int, share: float, free: list[_Free]) -> int:
    """Return how many of the new keys that come with both labels become holdout.

    Each of them counts in both classes. Of the counts that leave the worse class nearest to its
    share, take those that leave both classes nearest together, and of these the one that is nearest
    to the share of the pairs themselves.

    Example with 5 pairs and a share of 0.2, where the holdout lacks 3 and 2 rows and each class has
    10 single rows: with 0, 1 or 2 pairs the single rows fill both up, and 1 is the share of 5
    pairs. Where it lacks 3 and 1 and there are no single rows, 2 pairs leave 1 missing and 1 too
    many.
    """
    pairs = np.arange(count + 1)
    missed = [np.abs(pairs + _nearest_of(counts, pairs) - counts.lacking) for counts in free]
    away = np.abs(pairs - share * count)
    return int(np.lexsort((away, missed[0] + missed[1], np.maximum(*missed)))[0])


def _nearest(free: _Free, pairs: int) -> int:
    """Return how many single rows become holdout beside so many pairs."""
    return int(_nearest_of(free, np.array([pairs]))[0])


def _nearest_of(free: _Free, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same for each of several numbers of pairs, shape (n,)."""
    # Rounded to the nearest whole row, within what there is: lacking 3.0 with 1 pair takes 2.
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
    ties = frame.select(KEYS).with_row_index("row").filter(pl.Series(among & (order == bound)))
    marked[ties.sort(KEYS)["row"].head(count - int(marked.sum()))] = True
    return marked
