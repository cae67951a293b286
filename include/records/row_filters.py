"""Conditions on the rows of the table: what a scan of it is narrowed to."""

from collections.abc import Collection

import polars as pl

from include.records.row_columns import BATCH


def from_batches(digests: Collection[str] | None) -> pl.Expr | None:
    """Return the condition that a row came in one of these batches; None, for all, without any."""
    return None if digests is None else pl.col(BATCH).is_in(list(digests))
