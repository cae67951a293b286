"""Deliveries that were taken in, and what may happen to the table that holds their rows."""

import shutil
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake

from demo.data import pulsar_rows
from include.context.step_context import Workplace
from tests.contract.pipeline import rows

ROWS = pulsar_rows(400, seed=3)
# Each repeats rows of the one before it, so that which comes first decides whose they are.
PARTS = (ROWS[:150], ROWS[100:300], ROWS[250:])


def sided(at: Workplace) -> pl.DataFrame:
    """Return what each row of the table is and where it stands."""
    return rows(at).select("key_high", "key_low", "label", "side").sort("key_high", "key_low")


def land_again(at: Workplace, *names: str) -> None:
    """Copy archived files into the landing place, the last to come first."""
    archived = sorted(Path(at.lake.url, "archive").glob("[!.]*/*"), key=lambda path: path.name)
    for number, path in enumerate(reversed(archived)):
        if not names or path.name in names:
            at.landing.drop(f"again-{number}-{path.name}", path)


def table(at: Workplace) -> Path:
    """Return the folder of the table."""
    return Path(at.lake.url, "rows")


def lose_table(at: Workplace) -> None:
    """Lose all of it."""
    shutil.rmtree(table(at))


def lose_table_and_contract(at: Workplace) -> None:
    """Lose all that stands beside the archive."""
    for path in Path(at.lake.url).iterdir():
        if path.name != "archive":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_a_data_file(at: Workplace) -> None:
    """Lose one of the oldest."""
    min(table(at).glob("side=train/label=0/*"), key=lambda path: path.stat().st_mtime_ns).unlink()


def change_a_data_file(at: Workplace) -> None:
    """Turn one bit in the middle of one."""
    path = next(table(at).glob("side=holdout/label=0/*"))
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)


def lose_the_newest_entries(at: Workplace) -> None:
    """Lose the last two commits; their data files stay."""
    for version in (1, 2):
        (table(at) / "_delta_log" / f"{version:020d}.json").unlink()


LOSSES = (
    lose_table,
    lose_table_and_contract,
    lose_a_data_file,
    change_a_data_file,
    lose_the_newest_entries,
)


def _entry(at: Workplace, version: int) -> Path:
    return table(at) / "_delta_log" / f"{version:020d}.json"


def _raw(at: Workplace) -> DeltaTable:
    return DeltaTable(table(at))


def _foreign_rows(at: Workplace) -> pl.DataFrame:
    return rows(at).head(5)


def empty_the_newest_entry(at: Workplace) -> None:
    """As a disk that was full, or lost its power."""
    _entry(at, 2).write_text("")


def cut_the_newest_entry(at: Workplace) -> None:
    """In the middle of a line."""
    text = _entry(at, 2).read_text()
    _entry(at, 2).write_text(text[: len(text) // 2])


def cut_the_newest_entry_between_lines(at: Workplace) -> None:
    """Leave JSON that lacks the batch."""
    lines = _entry(at, 2).read_text().splitlines(keepends=True)
    _entry(at, 2).write_text("".join(lines[:-2]))


def leave_one_line_of_the_newest_entry(at: Workplace) -> None:
    """Leave what says that something was written, and not what."""
    _entry(at, 2).write_text(_entry(at, 2).read_text().splitlines()[0])


def overwrite_the_newest_entry(at: Workplace) -> None:
    """With bytes that are no text."""
    _entry(at, 2).write_bytes(bytes(range(256)))


def write_another_document_over_the_newest_entry(at: Workplace) -> None:
    """Leave JSON that is no commit."""
    _entry(at, 2).write_text('[1, 2]\n"three"\n')


def lose_an_entry_in_between(at: Workplace) -> None:
    """Leave a gap."""
    _entry(at, 1).unlink()


def empty_an_entry_in_between(at: Workplace) -> None:
    """Delta's own reader takes it for a commit of nothing."""
    _entry(at, 1).write_text("")


def lose_the_first_entry(at: Workplace) -> None:
    """Lose the columns, too."""
    _entry(at, 0).unlink()


def lose_every_entry_but_the_checkpoint(at: Workplace) -> None:
    """Do what befalls a log that may expire."""
    _raw(at).create_checkpoint()
    for version in range(3):
        _entry(at, version).unlink()


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


def append_rows_without_keys(at: Workplace) -> None:
    """Another tool knows the features only."""
    nothing = pl.lit(None, pl.Int64)
    frame = _foreign_rows(at).with_columns(key_high=nothing, key_low=nothing)
    write_deltalake(table(at), frame, mode="append")


def append_rows_of_another_side(at: Workplace) -> None:
    """Name a side that no rule gives."""
    write_deltalake(
        table(at), _foreign_rows(at).with_columns(side=pl.lit("validation")), mode="append"
    )


def append_rows_of_another_label(at: Workplace) -> None:
    """Name a class that the contract does not know."""
    frame = _foreign_rows(at).with_columns(label=pl.lit(7, pl.Int8))
    write_deltalake(table(at), frame, mode="append")


def append_a_column(at: Workplace) -> None:
    """Make the table wider."""
    frame = _foreign_rows(at).with_columns(note=pl.lit("x"))
    write_deltalake(table(at), frame, mode="append", schema_mode="merge")


def delete_rows(at: Workplace) -> None:
    """Somebody was to be forgotten."""
    _raw(at).delete("label = 1 and side = 'train'")


def update_rows(at: Workplace) -> None:
    """Somebody corrects a value in place."""
    _raw(at).update(predicate="label = 1", updates={"batch": "'mine'"})


def overwrite_rows(at: Workplace) -> None:
    """Make it another table, as far as rows go."""
    write_deltalake(table(at), _foreign_rows(at), mode="overwrite")


def optimize_the_table(at: Workplace) -> None:
    """Put the same rows into files of another tool's."""
    _raw(at).optimize.compact()


def set_a_property(at: Workplace) -> None:
    """As the one that lets the log expire."""
    _raw(at).alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})


def bring_foreign_rows_and_go_on(at: Workplace) -> None:
    """Several commits, behind a checkpoint at last."""
    for _ in range(20):
        append_rows_without_keys(at)
    _raw(at).create_checkpoint()


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
