"""A checkpoint says again what the entries of the log say, so that its loss costs nothing."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake.exceptions import DeltaError

from include.adapters.lake import checkpoints as checkpoints_aside
from include.context.intake_context import intake_context
from include.context.step_context import StepContext
from include.store import open_store
from tests.contract.bank import bank_at, bank_rows, deliver
from tests.contract.lost_rows import sided, table

pytestmark = pytest.mark.models_in_memory


@pytest.fixture
def filled(tmp_path: Path) -> StepContext:
    """Return a context with a few versions of its table, the last of which has a checkpoint."""
    context = bank_at(tmp_path)
    for seed in range(3):
        deliver(context, bank_rows(50, seed).write_csv(), f"{seed}.csv")
    opened = context.lake.repair._table.open()
    assert opened is not None
    opened.create_checkpoint()
    return context


def checkpoints(context: StepContext) -> list[Path]:
    """Return the checkpoints of the table."""
    return sorted((table(context) / "_delta_log").glob("*.checkpoint.parquet"))


def hint(context: StepContext) -> Path:
    """Return the file that names the newest."""
    return table(context) / "_delta_log" / "_last_checkpoint"


def lose(context: StepContext) -> None:
    """Delete it; the hint still names it."""
    for path in checkpoints(context):
        path.unlink()


def cut(context: StepContext) -> None:
    """Leave a part of it, as on a full disk."""
    for path in checkpoints(context):
        path.write_bytes(path.read_bytes()[:100])


def overwrite(context: StepContext) -> None:
    """Write something else in its place."""
    for path in checkpoints(context):
        path.write_text("garbage")


def mislead(context: StepContext) -> None:
    """Let the hint name one that never was."""
    hint(context).write_text('{"version": 1, "size": 3}')


@pytest.mark.parametrize("damage", [lose, cut, overwrite, mislead])
def test_a_table_with_a_broken_checkpoint_is_read_by_its_log(
    filled: StepContext, caplog: pytest.LogCaptureFixture, damage: Callable[[StepContext], None]
) -> None:
    """It is set aside with a warning, and the next delivery goes on behind every row."""
    before = sided(filled)
    damage(filled)
    again = intake_context(filled.spec, filled.settings)
    with caplog.at_level(logging.WARNING, "ratchet"):
        dataset = again.lake.dataset()
    assert dataset is not None
    assert dataset.rows == before.height
    assert sided(filled).equals(before)
    if caplog.records:
        assert "the log's own entries say the same" in caplog.text
        assert list(Path(filled.lake.url).glob("set-aside/*/_delta_log/*"))
    assert deliver(filled, bank_rows(50, 77).write_csv(), "more.csv").new > 40
    assert before.join(sided(filled), on=before.columns, how="anti").is_empty()


def test_a_version_that_never_was_is_no_broken_checkpoint(filled: StepContext) -> None:
    """Nothing is set aside for a question about it."""
    with pytest.raises(DeltaError):
        filled.lake.repair._table.open(99)
    assert checkpoints(filled)


def test_a_broken_entry_is_no_broken_checkpoint(filled: StepContext) -> None:
    """A sound checkpoint stays, and the error is the reader's own."""
    entry = max((table(filled) / "_delta_log").glob("*.json"))
    for path in checkpoints(filled):
        path.write_text("garbage")
    entry.write_text('{"add": no')
    with pytest.raises(DeltaError):
        filled.lake.repair._table.open()
    assert checkpoints(filled)


def test_whoever_comes_second_reads_on_by_the_log_too(filled: StepContext) -> None:
    """What another process has set aside meanwhile is no reason to give up."""
    lake = open_store(filled.lake.url, {})
    assert [checkpoints_aside.set_aside(lake, None) for _ in range(2)] == [True, True]
    assert not checkpoints(filled)
