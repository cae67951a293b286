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
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class _Shares:
    """What the share of the holdout in each class is reckoned from."""

    standing: Mapping[int, ClassCounts]
    labels: NDArray[np.int8]
    singles: list[NDArray[np.bool_]]
    """By class, the new rows that stand for themselves."""
    share: float

    def free(self, held: NDArray[np.bool_]) -> list[_Free]:
        """Return what is left to decide by class, where `held` marks the rows that are holdout."""
        return [_Free(int(self.singles[one].sum()), self._lacking(held, one)) for one in _LABELS]

    def _lacking(self, held: NDArray[np.bool_], label: int) -> float:
        """Return how many rows the holdout of a class lacks; negative where it has too many.

        share * (rows of history + new rows) - holdout of history - new rows that are held already.
        """
        was, mine = self.standing.get(label, ClassCounts()), self.labels == label
        return self.share * (was.rows + int(mine.sum())) - was.holdout - int((held & mine).sum())


def split(
    frame: pl.DataFrame,
    standing: Mapping[int, ClassCounts],
    forced: pl.DataFrame,
    holdout: float,
    salt: str,
) -> pl.DataFrame:
    """Add the column `side`, an Enum of train and holdout, to new rows.

    `frame` has `label` (0 or 1), `key_high`, `key_low` (int64) and `twin` (bool). `standing` gives
    per label what history holds; a label without history may be left out. `forced` has `key_high`,
    `key_low` and `side` of the rows of history that a `twin` repeats. `holdout` is the share of the
    holdout in each class, `salt` the text that the hashes are seeded by.
    """
    if frame.is_empty():
        return frame.with_columns(side=pl.lit(None, _SIDES))
    held = _of_history(frame, forced)
    decided = frame["twin"].to_numpy()
    labels = frame[LABEL].to_numpy()
    order = salted_order(frame, salt)
    repeated = _repeated(frame) & ~decided
    paired = _paired(frame, repeated)
    singles = [(labels == label) & ~decided & ~repeated for label in _LABELS]
    shares = _Shares(standing, labels, singles, holdout)
    count = int(paired.sum()) // 2
    others = [replace(one, singles=one.singles + count) for one in shares.free(held)]
    held |= _clusters(frame, order, repeated & ~paired, others, holdout)
    free = shares.free(held)
    pairs = _pairs(count, holdout, free)
    held |= _smallest(frame, order, paired, 2 * pairs)
    for rows, counts in zip(singles, free, strict=True):
        held |= _smallest(frame, order, rows, _nearest(counts, pairs))
    side = (
        pl.when(pl.lit(pl.Series(held)))
        .then(pl.lit(Side.HOLDOUT, _SIDES))
        .otherwise(pl.lit(Side.TRAIN, _SIDES))
    )
    return frame.with_columns(side=side)


def standing_without(
    standing: Mapping[int, ClassCounts], replaced: pl.DataFrame, moved: pl.DataFrame
) -> dict[int, ClassCounts]:
    """Return what history has of each class once rows are replaced, and others moved.

    `replaced` rows are gone, `moved` ones have left the holdout for the train side; both frames
    have `label` and `side`.
    """
    held = replaced.filter(pl.col(SIDE) == Side.HOLDOUT)
    return {
        label: ClassCounts(
            was.rows - replaced.filter(pl.col(LABEL) == label).height,
            was.holdout
            - held.filter(pl.col(LABEL) == label).height
            - moved.filter(pl.col(LABEL) == label).height,
        )
        for label, was in standing.items()
    }


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


def _repeated(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Mark each row whose key comes more than once in the batch."""
    high = frame[KEY_HIGH].sort()
    # Looking at half the key first spares all but a few rows a table of whole keys.
    suspect = high.filter(high == high.shift(1)).unique().to_frame()
    rows = frame.select(KEYS).with_row_index("row").join(suspect, on=KEY_HIGH, how="semi")
    repeated = np.zeros(frame.height, np.bool_)
    repeated[rows.filter(pl.struct(KEYS).is_duplicated())["row"]] = True
    return repeated


def _paired(frame: pl.DataFrame, repeated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark each of the repeated rows whose key comes once with either label, and no more."""
    rows = frame.select(*KEYS, LABEL).with_row_index("row").filter(pl.Series(repeated))
    each = [((pl.col(LABEL) == label).sum().over(KEYS) == 1) for label in _LABELS]
    paired = np.zeros(frame.height, np.bool_)
    paired[rows.filter(*each, pl.len().over(KEYS) == len(_LABELS))["row"]] = True
    return paired


def _clusters(
    frame: pl.DataFrame,
    order: Order,
    among: NDArray[np.bool_],
    free: list[_Free],
    share: float,
) -> NDArray[np.bool_]:
    """Mark the rows of the clusters that become holdout: new rows with equal features.

    Each class has a part of its cluster rows to give: its share of them, or what the holdout lacks
    beyond or below what the other rows can fill. Clusters are asked one after another, the largest
    first, and each adds this part of its own rows to what is due. One becomes holdout where less is
    due in both classes together, by squares, with it than without.

    Example of one class with a share of 0.2 and clusters of 4, 3 and 2 rows beside many single
    rows: 0.8, 1.4 and 1.8 rows are due, so the last one becomes holdout.
    """
    held = np.zeros(frame.height, np.bool_)
    if not among.any():
        return held
    rows = frame.select(*KEYS, LABEL).with_columns(pl.Series("order", order))
    rows = rows.with_row_index("row").filter(pl.Series(among))
    sizes = [(pl.col(LABEL) == label).sum().alias(f"of_{label}") for label in _LABELS]
    clusters = rows.group_by(KEYS).agg(pl.len(), pl.first("order"), *sizes)
    clusters = clusters.sort("len", "order", *KEYS, descending=[True, False, False, False])
    counts = clusters.select(f"of_{label}" for label in _LABELS).to_numpy().astype(np.float64)
    rates = _rates(counts.sum(axis=0), free, share)
    chosen, due = [], np.zeros(len(_LABELS))
    for place, cluster in enumerate(counts):
        due += rates * cluster
        if cluster @ (2 * due - cluster) > 0:  # due squared is more than (due - cluster) squared
            chosen.append(place)
            due -= cluster
    held[rows.join(clusters[chosen], on=KEYS, how="semi")["row"]] = True
    return held


def _rates(rows: NDArray[np.float64], free: list[_Free], share: float) -> NDArray[np.float64]:
    """Return which part of the cluster rows of each class should become holdout."""
    lacking = np.array([one.lacking for one in free])
    others = np.array([one.singles for one in free])
    wanted = np.minimum(np.maximum(share * rows, lacking - others), lacking)
    rates: NDArray[np.float64] = np.clip(wanted / np.maximum(rows, 1), 0, 1)
    return rates


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
