"""Counts what stands: the rows of each class, and how many of them are held out."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from include.records.data import Dataset
from include.records.row_changes import RowChanges
from include.records.row_columns import LABEL, SIDE, Side
from include.stages.split import ClassCounts, standing_without

_CLASSES = ((0, "negative"), (1, "positive"))


@dataclass(frozen=True)
class StandingCounts:
    """What the split of the next rows goes by."""

    by_label: Mapping[int, ClassCounts]

    @classmethod
    def of(cls, dataset: Dataset | None) -> "StandingCounts":
        """Return the counts of a table; all are 0 where there is none."""
        if dataset is None:
            return cls({label: ClassCounts() for label, _ in _CLASSES})
        return cls(
            {
                label: ClassCounts(
                    dataset.train[name] + dataset.holdout[name], dataset.holdout[name]
                )
                for label, name in _CLASSES
            }
        )

    def without(self, changes: RowChanges) -> "StandingCounts":
        """Return the counts once rows of the table have gone, and others moved."""
        return StandingCounts(standing_without(self.by_label, changes.replaced, changes.moved))

    def plus(self, rows: pl.DataFrame) -> "StandingCounts":
        """Return the counts with rows that have `label` and `side`."""
        held = pl.col(SIDE).cast(pl.String) == Side.HOLDOUT
        more = {
            label: (count, held_out)
            for label, count, held_out in rows.group_by(LABEL)
            .agg(pl.len(), held.sum().alias("held"))
            .iter_rows()
        }
        return StandingCounts(
            {
                label: ClassCounts(one.rows + more[label][0], one.holdout + more[label][1])
                if label in more
                else one
                for label, one in self.by_label.items()
            }
        )
