"""Rows that history has not seen yet.

Duplicates die before the split and against all history: a row on both sides of the split, or
counted twice, makes every later score a little untrue.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

KEY = "key"


@dataclass(frozen=True)
class Unseen:
    """What is left of a batch after all history has been subtracted."""

    frame: pl.DataFrame
    """The new rows: the typed columns and `key` (16 bytes)."""
    duplicates: int
    """Rows with features and label that this batch or history already has."""
    conflicts: pl.DataFrame
    """Rows with known features but another label, columns `line` and `label`."""


def with_keys(frame: pl.DataFrame, features: tuple[str, ...]) -> pl.DataFrame:
    """Add `key`: XXH3-128 of the row's features as float64, in the order of their names.

    Equal values give equal keys whatever the column order, `1` or `1.0`, `-0.0` or `0.0`.
    """
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bytes.
    values = frame.select(pl.col(sorted(features)).cast(pl.Float64)).to_numpy() + 0.0
    rows = np.ascontiguousarray(values)
    digests = [xxhash.xxh3_128_digest(row) for row in rows]
    return frame.with_columns(pl.Series(KEY, digests, dtype=pl.Binary))


def dedup(frame: pl.DataFrame, known: pl.DataFrame) -> Unseen:
    """Subtract history from a keyed batch; the first of equal rows in the batch stays.

    `known` has the columns `key` and `label` of every row before this batch.
    """
    first = frame.unique(KEY, keep="first", maintain_order=True)
    new = first.join(known, on=KEY, how="anti", maintain_order="left")
    settled = pl.concat([known.select(KEY, "label"), new.select(KEY, "label")])
    judged = frame.select("line", "label", KEY).join(
        settled.rename({"label": "settled"}), on=KEY, how="left", maintain_order="left"
    )
    conflicts = judged.filter(pl.col("label") != pl.col("settled")).select("line", "label")
    return Unseen(new, frame.height - new.height - conflicts.height, conflicts)
