"""Rows that the table lost come back from the archive, on their sides."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from demo.data import pulsar_rows
from include import steps
from include.adapters.lake import compaction
from include.errors import DataFileError
from include.intake import KNOWN_BYTES
from include.records import Intake
from include.recovery import recover
from include.workplace import Workplace
from tests.contract.pipeline import drop, rows, take_in

ROWS = pulsar_rows(400, seed=3)
# Each repeats rows of the one before it, so that which comes first decides whose they are.
PARTS = (ROWS[:150], ROWS[100:300], ROWS[250:])


@pytest.fixture
def filled(at: Workplace) -> Workplace:
    """Return a workplace into which three deliveries were taken one after the other."""
    for number, part in enumerate(PARTS):
        drop(at, part, f"{number}.csv")
        take_in(at)
    return at


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


@pytest.mark.parametrize("lose", LOSSES)
def test_archived_files_that_land_again_bring_lost_rows_back_on_their_sides(
    filled: Workplace, lose: Callable[[Workplace], None]
) -> None:
    """In whatever order they come back; and each stands in the archive as it did."""
    before = sided(filled)
    lose(filled)
    land_again(filled)
    assert not any(batch.note for batch in take_in(filled).batches if batch.new)
    assert sided(filled).equals(before)
    land_again(filled)
    assert {batch.note for batch in take_in(filled).batches if not batch.duplicates} == {
        KNOWN_BYTES
    }
    assert sided(filled).equals(before)


def test_a_lost_row_that_comes_in_another_file_keeps_its_side(filled: Workplace) -> None:
    """Whoever delivers between the loss and the recovery moves no row to the other side."""
    before = sided(filled)
    lose_table(filled)
    drop(filled, pl.concat([ROWS[200:], pulsar_rows(300, seed=8)]), "more.csv")
    take_in(filled)
    land_again(filled)
    take_in(filled)
    now = sided(filled)
    assert now.height == 700
    assert now.join(before, on=before.columns, how="semi").height == before.height


def test_rows_that_the_table_has_are_not_taken_in_again(filled: Workplace) -> None:
    """An archived file whose rows are all there changes nothing."""
    before = filled.lake.version()
    land_again(filled)
    assert {batch.note for batch in take_in(filled).batches} == {KNOWN_BYTES}
    assert filled.lake.version() == before


def test_a_lost_data_file_is_said_with_its_batches_and_what_to_do(filled: Workplace) -> None:
    """A new delivery stops, and nothing of it is lost."""
    lose_a_data_file(filled)
    drop(filled, pulsar_rows(20, seed=9), "new.csv")
    with pytest.raises(DataFileError, match=r"is gone; its rows came in batch [0-9a-f]{64}: put"):
        take_in(filled)
    land_again(filled)
    assert _new(take_in(filled))["new.csv"] == 20


def test_a_data_file_goes_once_all_of_its_batches_are_back(
    filled: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then whoever reads says which are missing, and no row is given up."""
    monkeypatch.setattr(compaction, "MERGED_FILES", 4)
    drop(filled, pulsar_rows(30, seed=5), "3.csv")
    take_in(filled)
    before = sided(filled)
    largest = max(table(filled).glob("side=train/label=0/*"), key=lambda path: path.stat().st_size)
    largest.unlink()
    land_again(filled, "0.csv")
    with pytest.raises(DataFileError, match=f"{largest.name} is gone"):
        steps.ingest(filled)
    land_again(filled)
    take_in(filled)
    assert sided(filled).equals(before)


@pytest.mark.parametrize("lose", LOSSES)
def test_recover_does_by_itself_what_needs_no_person(
    filled: Workplace, lose: Callable[[Workplace], None]
) -> None:
    """First it says what it would do; done, the next run makes the table what it was."""
    before = sided(filled)
    lose(filled)
    assert list(recover(filled, yes=False))[-1].startswith("nothing was changed yet")
    assert filled.landing.look().waiting == 0
    assert list(recover(filled, yes=True))
    take_in(filled)
    assert sided(filled).equals(before)
    assert list(recover(filled, yes=True)) == ["the table lacks nothing that was ingested"]


def test_rows_that_nothing_brings_back_are_given_up_only_on_purpose(filled: Workplace) -> None:
    """A batch whose archived file is lost or changed too is named, and its data file stays."""
    archived = {path.name: path for path in Path(filled.lake.url, "archive").glob("[!.]*/*")}
    archived["0.csv"].unlink()
    archived["1.csv"].write_text("changed\n")
    for path in table(filled).glob("side=train/label=0/*"):
        path.unlink()
    said = list(recover(filled, yes=True))
    assert len([line for line in said if line.startswith("left in the table")]) == 2
    assert filled.landing.look().waiting == 1
    with pytest.raises(DataFileError, match="is gone"):
        take_in(filled)
    said = list(recover(filled, yes=True, give_up=True))
    assert any("has no file in the archive: drop the file" in line for line in said)
    assert any("is not what was delivered" in line for line in said)
    take_in(filled)
    drop(filled, PARTS[0], "0.csv")
    drop(filled, PARTS[1], "1.csv")
    take_in(filled)
    assert sided(filled).height == 400


def test_a_run_says_which_batches_the_table_lacks(
    filled: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether or not anything lands: a table that was lost does not begin anew in silence."""
    steps.ingest(filled)
    assert not caplog.records
    lose_the_newest_entries(filled)
    steps.ingest(filled)
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert "lacks 2 batches that were ingested before" in said
    assert f"./ratchet recover {filled.spec.name} --yes" in said


def test_a_table_without_kept_sides_gets_them_with_the_next_batch(filled: Workplace) -> None:
    """As one that was made before they were kept."""
    before = sided(filled)
    shutil.rmtree(Path(filled.lake.url, "archive", ".sides"))
    drop(filled, pulsar_rows(20, seed=9), "new.csv")
    take_in(filled)
    lose_table(filled)
    land_again(filled)
    take_in(filled)
    assert sided(filled).join(before, on=before.columns, how="semi").height == before.height


def _new(intake: Intake) -> dict[str, int]:
    return {batch.name: batch.new for batch in intake.batches}
