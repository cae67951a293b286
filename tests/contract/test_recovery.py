"""Rows that the table lost come back from the archive, on their sides."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from demo.data import pulsar_rows
from include.adapters.lake import compaction
from include.context.step_context import StepContext
from include.errors import DataFileError, TableRefusedError
from include.records.data import Intake
from include.records.row_columns import Side
from include.steps.recover import recover
from include.steps.staged_rows import KNOWN_BYTES
from include.store import open_store
from tests import steps
from tests.contract.bank import bank_at, bank_rows, deliver
from tests.contract.lost_rows import (
    BROKEN_LOGS,
    FOREIGN_COMMITS,
    LOSSES,
    PARTS,
    ROWS,
    bring_foreign_rows_and_go_on,
    delete_rows,
    land_again,
    lose_a_data_file,
    lose_table,
    lose_the_newest_entries,
    sided,
    table,
)
from tests.contract.pipeline import drop, take_in
from tests.logs import warnings_of
from tests.seaweed import Bucket

pytestmark = pytest.mark.models_in_memory

Deed = Callable[[StepContext], None]


@pytest.mark.parametrize("lose", LOSSES)
def test_archived_files_that_land_again_bring_lost_rows_back_on_their_sides(
    filled: StepContext, lose: Deed
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


def test_a_lost_row_that_comes_in_another_file_keeps_its_side(filled: StepContext) -> None:
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


def test_rows_that_the_table_has_are_not_taken_in_again(filled: StepContext) -> None:
    """An archived file whose rows are all there changes nothing."""
    before = filled.lake.version()
    land_again(filled)
    assert {batch.note for batch in take_in(filled).batches} == {KNOWN_BYTES}
    assert filled.lake.version() == before


def test_a_lost_data_file_is_said_with_its_batches_and_what_to_do(filled: StepContext) -> None:
    """A new delivery stops, and nothing of it is lost."""
    lose_a_data_file(filled)
    drop(filled, pulsar_rows(20, seed=9), "new.csv")
    with pytest.raises(DataFileError, match=r"is gone; its rows came in batch [0-9a-f]{64}: put"):
        take_in(filled)
    land_again(filled)
    assert _new(take_in(filled))["new.csv"] == 20


def test_a_data_file_goes_once_all_of_its_batches_are_back(
    filled: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then whoever reads says which are missing, and no row is given up."""
    monkeypatch.setattr(compaction, "MERGED_FILES", 4)
    drop(filled, pulsar_rows(30, seed=5), "3.csv")
    take_in(filled)
    before = sided(filled)
    largest = max(table(filled).glob("side=train/*"), key=lambda path: path.stat().st_size)
    largest.unlink()
    land_again(filled, "0.csv")
    with pytest.raises(DataFileError, match=f"{largest.name} is gone"):
        steps.ingest(filled)
    land_again(filled)
    take_in(filled)
    assert sided(filled).equals(before)


@pytest.mark.parametrize("lose", LOSSES)
def test_recover_does_by_itself_what_needs_no_person(filled: StepContext, lose: Deed) -> None:
    """First it says what it would do; done, the next run makes the table what it was."""
    before = sided(filled)
    lose(filled)
    assert list(recover(filled, yes=False))[-1].startswith("nothing was changed yet")
    assert filled.landing.look().waiting == 0
    assert list(recover(filled, yes=True))
    take_in(filled)
    assert sided(filled).equals(before)
    assert list(recover(filled, yes=True)) == ["the table lacks nothing that was ingested"]


def test_rows_that_nothing_brings_back_are_given_up_only_on_purpose(filled: StepContext) -> None:
    """A batch whose archived file is lost or changed too is named, and its data file stays."""
    archived = {path.name: path for path in Path(filled.lake.url, "archive").glob("[!.]*/*")}
    archived["0.csv"].unlink()
    archived["1.csv"].write_text("changed\n")
    for path in table(filled).glob("side=train/*"):
        path.unlink()
    said = list(recover(filled, yes=True))
    assert len([line for line in said if line.startswith("left alone")]) == 2
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
    filled: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether or not anything lands: a table that was lost does not begin anew in silence."""
    steps.ingest(filled)
    assert not warnings_of(caplog, "ratchet")
    lose_the_newest_entries(filled)
    steps.ingest(filled)
    (said,) = warnings_of(caplog, "ratchet")
    assert "lacks 2 batches that were ingested before" in said
    assert f"./ratchet recover {filled.spec.name} --yes" in said


def test_a_table_without_kept_sides_gets_them_with_the_next_batch(filled: StepContext) -> None:
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


@pytest.mark.parametrize("deed", BROKEN_LOGS)
def test_a_log_that_cannot_be_read_is_said_and_made_whole_from_the_archive(
    filled: StepContext, deed: Deed
) -> None:
    """No batch is lost in silence; a run stops before anything is built on what is left."""
    before = sided(filled)
    deed(filled)
    with pytest.raises(TableRefusedError, match=r"in its log the entry of version \d is") as said:
        take_in(filled)
    assert f"./ratchet recover {filled.spec.name} --yes" in str(said.value)
    _recovered(filled, before)


@pytest.mark.parametrize("deed", FOREIGN_COMMITS)
def test_a_commit_of_another_tool_is_refused_and_restored_away(
    filled: StepContext, deed: Deed
) -> None:
    """The sentence names the version, what was done, and the version to go back to."""
    before = sided(filled)
    version = 2 if "cut" in deed.__name__ or "leave" in deed.__name__ else 3
    deed(filled)
    with pytest.raises(
        TableRefusedError, match=rf"its version {version} was not made by Ratchet \([A-Z]+"
    ) as said:
        take_in(filled)
    assert f"Restore version {version - 1}: ./ratchet recover" in str(said.value)
    _recovered(filled, before)


def test_a_version_that_another_tool_restored_is_read(filled: StepContext) -> None:
    """Who follows the sentence by hand is done; what came after that version comes again."""
    before = sided(filled)
    delete_rows(filled)
    DeltaTable(table(filled)).restore(1)
    assert list(recover(filled, yes=True))
    take_in(filled)
    assert sided(filled).equals(before)


def test_a_foreign_commit_whose_past_is_gone_sets_the_table_aside(filled: StepContext) -> None:
    """Where the version before cannot be restored, all of it comes from the archive."""
    before = sided(filled)
    delete_rows(filled)
    DeltaTable(table(filled)).vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False
    )
    _recovered(filled, before)
    assert list(Path(filled.lake.url, "set-aside").glob("*/rows/_delta_log/*.json"))


def test_a_table_that_was_made_one_of_a_newer_kind_comes_back(filled: StepContext) -> None:
    """Delta opens it no more, so that the entry goes instead; the rows are where they were."""
    before = sided(filled)
    entries = sorted((table(filled) / "_delta_log").glob("*.json"))
    newer = {"readerFeatures": ["wild"], "writerFeatures": ["wild"]}
    protocol = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **newer}}
    (entries[0].parent / f"{len(entries):020d}.json").write_text(json.dumps(protocol))
    with pytest.raises(TableRefusedError, match="the columns or the kind of the table"):
        take_in(filled)
    assert any("the entries of the log from version" in line for line in recover(filled, yes=True))
    assert sided(filled).equals(before)


def test_a_vacuum_of_another_tool_harms_nothing(filled: StepContext) -> None:
    """It deletes what the newest version does not name."""
    before = sided(filled)
    DeltaTable(table(filled)).vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False
    )
    drop(filled, pulsar_rows(20, seed=9), "new.csv")
    take_in(filled)
    assert sided(filled).height == before.height + 20


def test_a_log_is_kept_where_a_batch_cannot_come_again(filled: StepContext) -> None:
    """Unless a person gives it up."""
    bring_foreign_rows_and_go_on(filled)
    lose_archive = Path(filled.lake.url, "archive")
    for path in lose_archive.glob("[!.]*/2.csv"):
        path.unlink()
    (table(filled) / "_delta_log" / f"{1:020d}.json").write_text("")
    (left,) = [line for line in recover(filled, yes=True) if line.startswith("left alone")]
    assert "the log as it is" in left
    list(recover(filled, yes=True, give_up=True))
    assert sum(batch.new for batch in take_in(filled).batches) == 150


def _recovered(context: StepContext, before: pl.DataFrame) -> None:
    """Recover, take in what comes again, and expect the rows of before, and nothing left to do."""
    assert list(recover(context, yes=False))[-1].startswith("nothing was changed yet")
    assert list(recover(context, yes=True))
    take_in(context)
    assert sided(context).equals(before)
    assert list(recover(context, yes=True)) == ["the table lacks nothing that was ingested"]


def test_a_bucket_is_held_to_the_same(bucket: Bucket, tmp_path: Path) -> None:
    """Changed objects, an empty entry, a commit of another tool, a table that is gone."""
    place = {"RATCHET_LAKE": f"{bucket.url}/lake", **bucket.options}
    for number in range(2):
        rows_of = bank_rows(300, seed=1)[100 * number : 100 * number + 200]
        deliver(bank_at(tmp_path, place), rows_of.write_csv(), f"{number}.csv")
    before = _bank_sides(tmp_path, place)
    store = open_store(f"{bucket.url}/lake/bank/rows", bucket.options)
    data = next(one.name for one in store.walk() if one.name.startswith("side=train/"))
    store.write(data, store.read(data)[::-1])
    assert _mended(tmp_path, place, "was changed after it was written", before).equals(before)
    newest = max(one.name for one in store.at("_delta_log").look() if one.name.endswith("json"))
    store.write(f"_delta_log/{newest}", b"")
    assert _mended(tmp_path, place, "is empty", before).equals(before)
    DeltaTable(store.url, storage_options=dict(bucket.options)).delete("label = 'positive'")
    assert _mended(tmp_path, place, "was not made by Ratchet", before).equals(before)
    for one in store.walk():
        store.delete(one.name)
    assert _mended(tmp_path, place, "", before).equals(before)


def _bank_sides(home: Path, place: dict[str, str]) -> pl.DataFrame:
    lake = bank_at(home, place).lake
    version = lake.version()
    assert version is not None
    found = lake._table.scan(version, Side.TRAIN, Side.HOLDOUT).select(
        "key_high", "key_low", "side"
    )
    return found.collect().sort("key_high", "key_low")


def _mended(home: Path, place: dict[str, str], problem: str, before: pl.DataFrame) -> pl.DataFrame:
    """Expect a run to stop with a problem, if it is one; return what recovery has of `before`."""
    if problem:
        with pytest.raises((DataFileError, TableRefusedError), match=problem):
            deliver(bank_at(home, place), bank_rows(20, seed=7).write_csv())
    assert list(recover(bank_at(home, place), yes=True))
    take_in(bank_at(home, place))
    now = _bank_sides(home, place)
    return now.join(before, on=before.columns, how="semi").sort("key_high", "key_low")
