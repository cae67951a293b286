"""What a batch changes of the rows that the table has, beside those that it adds."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class RowChanges:
    """Rows of the table that go or move in the commit of a batch.

    Both frames have `id`, `key_high`, `key_low`, `label` and `side`; an id is null where the row
    has none.
    """

    replaced: pl.DataFrame
    """Rows that the batch brings anew, with other content or with an id."""
    moved: pl.DataFrame
    """Rows that leave the holdout for the train side."""

    @property
    def is_nothing(self) -> bool:
        """Whether the rows of the table stay as they are."""
        return self.replaced.is_empty() and self.moved.is_empty()
