"""Deliveries that were taken in, and what may happen to the table that holds their rows."""

import shutil
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from tests.contract.pipeline import rows, stored_rows

ROWS = pulsar_rows(400, seed=3)
# Each repeats rows of the one before it, so that which comes first decides whose they are.
PARTS = (ROWS[:150], ROWS[100:300], ROWS[250:])


def sided(context: StepContext) -> pl.DataFrame:
    """Return what each row of the table is and where it stands."""
    return rows(context).select("key_high", "key_low", "label", "side").sort("key_high", "key_low")


def land_again(context: StepContext, *names: str) -> None:
    """Copy archived files into the landing place, the last to come first."""
    archived = sorted(Path(context.lake.url, "archive").glob("[!.]*/*"), key=lambda path: path.name)
    for number, path in enumerate(reversed(archived)):
        if not names or path.name in names:
            context.landing.drop(f"again-{number}-{path.name}", path)


def table(context: StepContext) -> Path:
    """Return the folder of the table."""
    return Path(context.lake.url, "rows")


def lose_table(context: StepContext) -> None:
    """Lose all of it."""
    shutil.rmtree(table(context))


def lose_table_and_contract(context: StepContext) -> None:
    """Lose all that stands beside the archive."""
    for path in Path(context.lake.url).iterdir():
        if path.name != "archive":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_a_data_file(context: StepContext) -> None:
    """Lose one of the oldest."""
    min(table(context).glob("side=train/*"), key=lambda path: path.stat().st_mtime_ns).unlink()


def change_a_data_file(context: StepContext) -> None:
    """Turn one bit in the middle of one."""
    path = next(table(context).glob("side=holdout/*"))
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)


def lose_the_newest_entries(context: StepContext) -> None:
    """Lose the last two commits; their data files stay."""
    for version in (1, 2):
        (table(context) / "_delta_log" / f"{version:020d}.json").unlink()


LOSSES = (
    lose_table,
    lose_table_and_contract,
    lose_a_data_file,
    change_a_data_file,
    lose_the_newest_entries,
)


def _entry(context: StepContext, version: int) -> Path:
    return table(context) / "_delta_log" / f"{version:020d}.json"


def _raw(context: StepContext) -> DeltaTable:
    return DeltaTable(table(context))


def _foreign_rows(context: StepContext) -> pl.DataFrame:
    return stored_rows(context).head(5)


def empty_the_newest_entry(context: StepContext) -> None:
    """As a disk that was full, or lost its power."""
    _entry(context, 2).write_text("")


def cut_the_newest_entry(context: StepContext) -> None:
    """In the middle of a line."""
    text = _entry(context, 2).read_text()
    _entry(context, 2).write_text(text[: len(text) // 2])


def cut_the_newest_entry_between_lines(context: StepContext) -> None:
    """Leave JSON that lacks the batch."""
    lines = _entry(context, 2).read_text().splitlines(keepends=True)
    _entry(context, 2).write_text("".join(lines[:-2]))


def leave_one_line_of_the_newest_entry(context: StepContext) -> None:
    """Leave what says that something was written, and not what."""
    _entry(context, 2).write_text(_entry(context, 2).read_text().splitlines()[0])


def overwrite_the_newest_entry(context: StepContext) -> None:
    """With bytes that are no text."""
    _entry(context, 2).write_bytes(bytes(range(256)))


def write_another_document_over_the_newest_entry(context: StepContext) -> None:
    """Leave JSON that is no commit."""
    _entry(context, 2).write_text('[1, 2]\n"three"\n')


def lose_an_entry_in_between(context: StepContext) -> None:
    """Leave a gap."""
    _entry(context, 1).unlink()


def empty_an_entry_in_between(context: StepContext) -> None:
    """Delta's own reader takes it for a commit of nothing."""
    _entry(context, 1).write_text("")


def lose_the_first_entry(context: StepContext) -> None:
    """Lose the columns, too."""
    _entry(context, 0).unlink()


def lose_every_entry_but_the_checkpoint(context: StepContext) -> None:
    """Do what befalls a log that may expire."""
    _raw(context).create_checkpoint()
    for version in range(3):
        _entry(context, version).unlink()


BROKEN_LOGS = (
    empty_the_newest_entry,
    cut_the_newest_entry,
    overwrite_the_newest_entry,
    write_another_document_over_the_newest_entry,
    lose_an_entry_in_between,
    empty_an_entry_in_between,
    lose_the_first_entry,
    lose_every_entry_but_the_checkpoint,
)


def append_rows_without_keys(context: StepContext) -> None:
    """Another tool knows the features only."""
    nothing = pl.lit(None, pl.Int64)
    frame = _foreign_rows(context).with_columns(key_high=nothing, key_low=nothing)
    write_deltalake(table(context), frame, mode="append")


def append_rows_of_another_side(context: StepContext) -> None:
    """Name a side that no rule gives."""
    write_deltalake(
        table(context),
        _foreign_rows(context).with_columns(side=pl.lit("validation")),
        mode="append",
    )


def append_rows_of_another_label(context: StepContext) -> None:
    """Name a class that the contract does not know."""
    frame = _foreign_rows(context).with_columns(label=pl.lit("perhaps"))
    write_deltalake(table(context), frame, mode="append")


def append_a_column(context: StepContext) -> None:
    """Make the table wider."""
    frame = _foreign_rows(context).with_columns(note=pl.lit("x"))
    write_deltalake(table(context), frame, mode="append", schema_mode="merge")


def delete_rows(context: StepContext) -> None:
    """Somebody was to be forgotten."""
    _raw(context).delete("label = 'positive' and side = 'train'")


def update_rows(context: StepContext) -> None:
    """Somebody corrects a value in place."""
    _raw(context).update(predicate="label = 'positive'", updates={"batch": "'mine'"})


def overwrite_rows(context: StepContext) -> None:
    """Make it another table, as far as rows go."""
    write_deltalake(table(context), _foreign_rows(context), mode="overwrite")


def optimize_the_table(context: StepContext) -> None:
    """Put the same rows into files of another tool's."""
    _raw(context).optimize.compact()


def set_a_property(context: StepContext) -> None:
    """As the one that lets the log expire."""
    _raw(context).alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})


def bring_foreign_rows_and_go_on(context: StepContext) -> None:
    """Several commits, behind a checkpoint at last."""
    for _ in range(20):
        append_rows_without_keys(context)
    _raw(context).create_checkpoint()


FOREIGN_COMMITS = (
    append_rows_without_keys,
    append_rows_of_another_side,
    append_rows_of_another_label,
    append_a_column,
    delete_rows,
    update_rows,
    overwrite_rows,
    optimize_the_table,
    set_a_property,
    bring_foreign_rows_and_go_on,
    cut_the_newest_entry_between_lines,
    leave_one_line_of_the_newest_entry,
)
