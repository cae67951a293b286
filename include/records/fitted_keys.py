"""The keys of the rows that an adopted model was fitted on."""

from dataclasses import dataclass

import polars as pl

from include.records.row_columns import NEWEST_FORMAT, TableFormat


@dataclass(frozen=True)
class FittedKeys:
    """Distinct row keys, and the format that they are of."""

    rows: pl.DataFrame
    """Columns `key_high` and `key_low`."""
    form: TableFormat = NEWEST_FORMAT
