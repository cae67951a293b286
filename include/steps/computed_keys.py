"""Makes the keys of a table's rows from their features."""

from collections.abc import Callable

import polars as pl

from include.context.intake_context import IntakeContext
from include.records.row_columns import TableFormat
from include.stages import dedup as dedup_stage


def keyed_by(context: IntakeContext) -> Callable[[pl.DataFrame, TableFormat], pl.DataFrame]:
    """Return the function that adds to rows the keys of a format, as the contract has them."""
    contract = context.lake.require_contract()
    return lambda rows, form: dedup_stage.with_keys(rows, contract, form)
