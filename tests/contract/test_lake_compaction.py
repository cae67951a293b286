"""Tidying a table of many batches: fewer files, no orphans, every kept version as it was."""

import os
import time
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from include.adapters.lake import Lake, compaction
from include.adapters.lake.table_commits import TableCommits
from include.errors import DataFileError
from include.records.row_columns import Side
from serving.bundle import Layout
from tests.seaweed import Bucket

LAYOUT = Layout(("a", "c"), {"c": ("x", "y")})


@pytest.fixture(params=["disk", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Return a lake of nine batches that are worth merging by fours."""
    monkeypatch.setattr(compaction, "MERGED_FILES", 4)
    bucket: Bucket | None = None
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
    url, options = (bucket.url, bucket.options) if bucket else (str(tmp_path / "lake"), {})
    lake = Lake(url, options, tmp_path / "scratch")
    for at in range(9):
        assert lake.commit(f"d{at}", [rows(10 * at)], at - 1 if at else None) == at
    return lake


def rows(first: int) -> pl.DataFrame:
    """Return ten rows of one class, half of them held out."""
    number = pl.int_range(first, first + 10, eager=True)
    return pl.DataFrame(
        {
            "a": number / 3,
            "c": ["x", "y", None, "z", "x"] * 2,
            "key_high": -number,
            "key_low": number,
            "label": pl.Series([1] * 10, dtype=pl.Int8),
            "side": ["train", "holdout"] * 5,
        }
    )


def content(lake: Lake, version: int) -> list[bytes]:
    """Return both sides of a version, bit for bit."""
    sides = (lake.matrix(version, side, LAYOUT) for side in Side)
    return [array.tobytes() for side in sides for array in side]


def raw(lake: Lake) -> DeltaTable:
    """Open the table past the door."""
    table = lake._table.at()
    assert table is not None
    return table


def test_merging_changes_files_and_no_rows(lake: Lake) -> None:
    """Every version reads as before, and the data set knows which batch was its last."""
    before = {version: content(lake, version) for version in range(9)}
    assert lake.is_crowded()
    assert lake.compact(keep=[]).merged == 18
    assert not lake.is_crowded()
    assert {version: content(lake, version) for version in range(9)} == before
    assert content(lake, 9) == before[8]
    assert len(raw(lake).file_uris()) == 2
    dataset = lake.dataset()
    assert dataset is not None
    assert (dataset.version, dataset.grown, dataset.rows) == (9, 8, 90)
    assert lake.committing_version("d3") == 3
    assert lake.commit("d9", [rows(90)], 9) == 10
    assert lake.compact(keep=[]) == compaction.Compaction(merged=0, deleted=0)


def test_what_no_kept_version_names_is_deleted(lake: Lake) -> None:
    """Versions that models name stay, bit for bit; files of old attempts go."""
    kept = {version: content(lake, version) for version in (2, 5)}
    lake.compact(keep=[])
    assert lake.compact(keep=[*kept, 77], grace_hours=0).deleted == 2 * 3
    assert {version: content(lake, version) for version in kept} == kept
    assert len(lake.matrix(lake.version() or 0, Side.TRAIN, LAYOUT)[0]) == 45
    with pytest.raises(DataFileError, match="only older versions of the table name it"):
        lake.matrix(8, Side.TRAIN, LAYOUT)
    assert lake.committing_version("d3") == 3


def test_a_young_file_of_another_attempt_is_left_alone(tmp_path: Path) -> None:
    """It may be about to be committed; an old one is not."""
    lake = Lake(str(tmp_path), {}, tmp_path / "scratch")
    lake.commit("d0", [rows(0)], None)
    young, old = (tmp_path / "rows" / "side=train" / f"{name}.parquet" for name in ("young", "old"))
    for path, age in ((young, 0), (old, 2 * 86400)):
        path.write_bytes(b"rows")
        os.utime(path, (time.time() - age,) * 2)
    assert lake.compact(keep=[]).deleted == 1
    assert young.exists()
    assert not old.exists()


def test_another_writer_goes_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is committed while files are merged stands, and merging waits for next time."""
    merge = TableCommits.replace

    def late(*args: object) -> bool:
        assert lake.commit("d9", [rows(90)], 8) == 9
        return merge(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(TableCommits, "replace", late)
    assert lake.compact(keep=[]).merged == 0
    assert lake.version() == 9
    assert len(raw(lake).file_uris()) == 20


def test_the_log_that_leads_to_a_version_never_expires(lake: Lake) -> None:
    """A model may name a version for years."""
    before = content(lake, 0)
    table = raw(lake)
    table.create_checkpoint()
    table.cleanup_metadata()
    assert content(lake, 0) == before
    assert table.metadata().configuration["delta.enableExpiredLogCleanup"] == "false"
