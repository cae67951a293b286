"""Brings the table to the newest format, for the command `./ratchet migrate`.

When killed: the table is as it was, or whole in the newest format, and the command does what is
left when it is run again.
"""

from collections.abc import Iterator
from itertools import accumulate

from include.adapters.lake import Migration
from include.context.intake_context import IntakeContext
from include.errors import NothingToDoError
from include.records.data import MigrationResult
from include.records.row_columns import NEWEST_FORMAT
from include.steps.computed_keys import keyed_by

_STEPS = 10


def migrate(context: IntakeContext) -> Iterator[str]:
    """Write the table anew in the newest format, one commit; yield a sentence for each step.

    What another process commits meanwhile is waited for: then everything is written once more.
    Raises NothingToDoError where there is no table.
    """
    lake = context.lake
    if lake.version() is None:
        raise NothingToDoError(f"{lake.url} has no table yet: its first file makes one")
    while (migration := lake.migration(keyed_by(context))) is not None:
        yield f"{lake.url}/rows: {migration.rows:,} rows are written anew"
        yield from _written(migration)
        done = migration.commit()
        if done is not None:
            yield from _done(done)
            break
        yield "another process has committed meanwhile: once more from the start"
    lake.finish_migration()
    yield f"{lake.url}/rows is of format {int(NEWEST_FORMAT)}"


def _written(migration: Migration) -> Iterator[str]:
    """Write the rows, and say how far that is about ten times."""
    said = 0
    for rows in accumulate(migration.write()):
        if rows * _STEPS // max(migration.rows, 1) > said:
            said = rows * _STEPS // migration.rows
            yield f"{rows:,} of {migration.rows:,} rows"


def _done(done: MigrationResult) -> Iterator[str]:
    yield f"version {done.version} has all {done.rows:,} rows; versions before it stay readable"
    if done.moved:
        yield (
            f"{done.moved:,} rows left the holdout for the train side: no model can tell them from "
            "train rows, so they proved nothing"
        )
    if done.repeated:
        yield (
            f"{done.repeated:,} rows repeat another row of their side, as a model sees them; they "
            "stay, and none like them is added"
        )
