"""A checkpoint says again what the entries of the log say, so that its loss costs nothing."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake.exceptions import DeltaError

from include.context.intake_context import dock
from include.context.step_context import Workplace
from tests.contract.bank import bank_at, bank_rows, deliver
from tests.contract.lost_rows import sided, table


@pytest.fixture
def filled(tmp_path: Path) -> Workplace:
    """Return a workplace with a few versions of its table, the last of which has a checkpoint."""
    at = bank_at(tmp_path)
    for seed in range(3):
        deliver(at, bank_rows(50, seed).write_csv(), f"{seed}.csv")
    opened = at.lake.repair._table.open()
    assert opened is not None
    opened.create_checkpoint()
    return at


def checkpoints(at: Workplace) -> list[Path]:
    """Return the checkpoints of the table."""
    return sorted((table(at) / "_delta_log").glob("*.checkpoint.parquet"))


def hint(at: Workplace) -> Path:
    """Return the file that names the newest."""
    return table(at) / "_delta_log" / "_last_checkpoint"


def lose(at: Workplace) -> None:
    """Delete it; the hint still names it."""
    for path in checkpoints(at):
        path.unlink()


def cut(at: Workplace) -> None:
    """Leave a part of it, as on a full disk."""
    for path in checkpoints(at):
        path.write_bytes(path.read_bytes()[:100])


def overwrite(at: Workplace) -> None:
    """Write something else in its place."""
    for path in checkpoints(at):
        path.write_text("garbage")


def mislead(at: Workplace) -> None:
    """Let the hint name one that never was."""
    hint(at).write_text('{"version": 1, "size": 3}')


@pytest.mark.parametrize("damage", [lose, cut, overwrite, mislead])
def test_a_table_with_a_broken_checkpoint_is_read_by_its_log(
    filled: Workplace, caplog: pytest.LogCaptureFixture, damage: Callable[[Workplace], None]
) -> None:
    """It is set aside with a warning, and the next delivery goes on behind every row."""
    before = sided(filled)
    damage(filled)
    again = dock(filled.spec, filled.settings)
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


def test_a_version_that_never_was_is_no_broken_checkpoint(filled: Workplace) -> None:
    """Nothing is set aside for a question about it."""
    with pytest.raises(DeltaError):
        filled.lake.repair._table.open(99)
    assert checkpoints(filled)
