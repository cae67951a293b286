"""The sticky split: which side a new row stands on, for good.

Old assignments never change. Class by class, the new rows with the smallest salted hashes top the
holdout up to its share of all rows seen so far, so each class stays within one row of its share
after every batch, and nothing about the order of a file decides where a row goes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import xxhash

from include.spec import Split

TRAIN, HOLDOUT = "train", "holdout"


@dataclass(frozen=True)
class Standing:
    """How many rows of one class history has, and how many of them are holdout."""

    rows: int = 0
    holdout: int = 0


def split(frame: pl.DataFrame, standing: Mapping[int, Standing], rule: Split) -> pl.DataFrame:
    """Add `side` to new rows with the columns `key` and `label` (1 is positive).

    `standing` says per label what history holds; a label without history may be left out.
    """
    salt = rule.salt.encode()
    order = [xxhash.xxh3_128_digest(salt + key) for key in frame["key"]]
    ranked = frame.select("label", pl.Series("order", order, dtype=pl.Binary)).with_columns(
        rank=pl.col("order").rank("ordinal").over("label")
    )
    quotas = {
        label: _quota(rule.holdout, standing.get(label, Standing()), count)
        for label, count in frame.group_by("label").len().iter_rows()
    }
    quota = pl.col("label").replace_strict(quotas, default=0, return_dtype=pl.Int64)
    side = pl.when(pl.col("rank") <= quota).then(pl.lit(HOLDOUT)).otherwise(pl.lit(TRAIN))
    return frame.with_columns(ranked.select(side=side)["side"])


def _quota(share: float, standing: Standing, new: int) -> int:
    """How many of the new rows of a class go to the holdout."""
    wanted = int(share * (standing.rows + new) + 0.5) - standing.holdout
    return min(max(wanted, 0), new)
