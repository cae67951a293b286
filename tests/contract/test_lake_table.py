"""The lake on a real Delta table: on a disk and on a real S3 server, one suite."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

from include.adapters.lake import Lake
from include.adapters.lake.place import for_delta
from include.errors import ContractError
from include.records.row_columns import Side
from include.spec.contract import Column, ColumnKind, Contract
from serving.bundle import Layout
from tests.seaweed import Bucket

AB = Layout(("b", "a"))
Opener = Callable[[], Lake]


@pytest.fixture(params=["disk", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Return a function that opens one and the same lake, in which nothing was committed."""
    if request.param == "disk":
        return lambda: Lake(str(tmp_path / "ü b" / "lake"), {}, tmp_path / "scratch")
    bucket: Bucket = request.getfixturevalue("bucket")
    return lambda: Lake(bucket.url, bucket.options, tmp_path / "scratch")


@pytest.fixture
def lake(opened: Opener) -> Lake:
    """Return a lake in which nothing was ever committed."""
    return opened()


def rows(first: int, count: int = 10) -> pl.DataFrame:
    """Return new rows numbered from `first`: features, key, label and side, one in five held out.

    The keys run against the numbers, so that order of arrival and order of key differ.
    """
    number = pl.int_range(first, first + count, eager=True).alias("number").to_frame()
    return number.select(
        b=pl.col("number").cast(pl.Float64),
        a=pl.col("number") / 3,
        label=(pl.col("number") % 2).cast(pl.Int8),
        key_high=-pl.col("number"),
        key_low=pl.col("number"),
        side=pl.when(pl.col("number") % 5 == 0).then(pl.lit("holdout")).otherwise(pl.lit("train")),
    )


def raw(lake: Lake, version: int | None = None) -> DeltaTable:
    """Open the table as any other program would."""
    options = for_delta(lake._table.options)
    return DeltaTable(lake._table.uri, version=version, storage_options=options)


def contract(*columns: Column) -> Contract:
    """Return a contract of these columns."""
    return Contract(1, "d1", "y", 1, 0, None, 0.2, "salt", columns)


def test_before_the_first_commit_there_is_no_data_set(lake: Lake) -> None:
    """History is empty, not an error."""
    assert lake.version() is None
    assert lake.dataset() is None
    assert lake.contract() is None
    assert lake.committing_version("d1") is None
    assert lake.keys.matches(rows(0), None).is_empty()
    assert lake.compact([]).merged == 0
    assert not lake.is_crowded()
    with pytest.raises(ContractError, match=r"no contract\.toml"):
        lake.require_contract()


def test_a_commit_is_counted_by_side_and_class(lake: Lake) -> None:
    """Of ten rows two are held out, and labels alternate."""
    assert lake.commit("d1", [rows(0, 4), rows(4, 0), rows(4, 6)], None) == 0
    dataset = lake.dataset()
    assert dataset is not None
    assert dataset.train == {"negative": 4, "positive": 4}
    assert dataset.holdout == {"negative": 1, "positive": 1}
    assert (dataset.version, dataset.rows, dataset.grown) == (0, 10, 0)


def test_a_commit_is_the_next_version_or_nothing(lake: Lake) -> None:
    """Who looked at an older version has to look again; what it wrote is gone."""
    assert lake.commit("d1", [rows(0)], None) == 0
    assert lake.commit("d2", [rows(10)], 0) == 1
    assert lake.commit("d3", [rows(20)], 0) is None
    assert lake.commit("d3", [rows(20)], None) is None
    assert lake.commit("d3", [rows(20)], 1) == 2
    assert [lake.committing_version(digest) for digest in ("d1", "d2", "d3", "d4")] == [
        0,
        1,
        2,
        None,
    ]
    assert raw(lake).count() == 30


def test_a_batch_without_rows_is_no_commit(lake: Lake) -> None:
    """Whoever has nothing new does not ask for a version."""
    with pytest.raises(ValueError, match="no new row"):
        lake.commit("d1", [rows(0, 0)], None)
    assert lake.version() is None


def test_a_batch_that_dies_half_way_leaves_nothing(lake: Lake) -> None:
    """What is not committed is not there, and the next attempt stands."""

    def dying() -> pl.DataFrame:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        lake.commit("d1", (dying() if turn else rows(0) for turn in range(2)), None)
    assert lake.version() is None
    assert lake.commit("d1", [rows(0)], None) == 0


@pytest.mark.parametrize("before", [0, 1])
def test_writers_at_the_same_time_lose_nothing_and_double_nothing(
    opened: Opener, before: int
) -> None:
    """Each batch is tried by two writers at once, from the first commit on or after it."""
    if before:
        opened().commit("first", [rows(1000)], None)

    def write(turn: int) -> int:
        digest, mine = f"d{turn // 2}", opened()
        while (held := mine.committing_version(digest)) is None:
            held = mine.commit(digest, [rows(10 * (turn // 2))], mine.version())
        return held

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(write, range(8)))
    assert versions[::2] == versions[1::2]
    assert sorted(versions[::2]) == [before + at for at in range(4)]
    assert raw(opened()).count() == 40 + 10 * before


def test_rows_of_history_are_found_by_their_whole_key(lake: Lake) -> None:
    """Half a key is no match, and later versions are not looked at."""
    lake.commit("d1", [rows(0)], None)
    lake.commit("d2", [rows(10)], 0)
    half = pl.DataFrame({"key_high": [-3], "key_low": [4]})
    asked = pl.concat([rows(5, 10).select("key_high", "key_low"), half])
    found = lake.keys.matches(asked, 0).sort("key_low")
    assert found["key_low"].to_list() == [5, 6, 7, 8, 9]
    assert found.row(0) == (-5, 5, 1, "holdout")
    assert lake.keys.matches(asked, 1).height == 10


def test_a_matrix_is_float32_in_layout_order_sorted_by_key(lake: Lake) -> None:
    """Rows of one side only, without the lake's own columns."""
    lake.commit("d1", [rows(0)], None)
    X, y = lake.matrix(0, Side.HOLDOUT, AB)
    assert (X.dtype.name, y.dtype.name) == ("float32", "int8")
    assert X.flags.c_contiguous
    assert np.array_equal(X, np.array([[5, 5 / 3], [0, 0]], np.float32))
    assert y.tolist() == [1, 0]
    assert lake.sample(0, Side.TRAIN, AB, 2) == [(9.0, 3.0), (8.0, 8 / 3)]
    for count in (1, 9):
        assert [a for a, _ in lake.sample_classes(0, Side.HOLDOUT, AB, count)] == [0.0, 5.0]


def test_a_version_is_read_back_bit_for_bit(lake: Lake) -> None:
    """Later commits leave the matrix of an earlier version as it was."""
    lake.commit("d1", [rows(10)], None)
    before = [array.tobytes() for array in lake.matrix(0, Side.TRAIN, AB)]
    lake.commit("d2", [rows(0)], 0)
    assert [array.tobytes() for array in lake.matrix(0, Side.TRAIN, AB)] == before
    assert len(lake.matrix(1, Side.TRAIN, AB)[0]) == 16


def test_blocks_are_the_matrix_without_holding_it(lake: Lake) -> None:
    """Every row of the side once, so many at a time, and the same blocks each time."""
    lake.commit("d1", [rows(0).with_columns(c=pl.Series(["x", None] * 5))], None)
    lake.commit("d2", [rows(10).with_columns(c=pl.Series(["z", "y"] * 5))], 0)
    layout = Layout(("c", "a", "b"), {"c": ("x", "y")}, ("c",))
    blocks = list(lake.blocks(1, Side.TRAIN, layout, 7))
    assert [len(y) for _, y in blocks] == [7, 7, 2]
    assert all(X.dtype == np.float32 and X.flags.c_contiguous for X, _ in blocks)
    X, y = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    whole, labels = lake.matrix(1, Side.TRAIN, layout)
    order, by_key = np.argsort(X[:, 2]), np.argsort(whole[:, 2])
    assert np.array_equal(X[order], whole[by_key], equal_nan=True)
    assert np.array_equal(y[order], labels[by_key])
    again = list(lake.blocks(1, Side.TRAIN, layout, 7))
    assert [X.tobytes() for X, _ in again] == [X.tobytes() for X, _ in blocks]
    assert sum(len(y) for _, y in lake.blocks(0, Side.TRAIN, layout, 100)) == 8


def test_columns_in_another_order_land_in_the_right_ones(lake: Lake) -> None:
    """Columns are matched by name."""
    lake.commit("d1", [rows(0)], None)
    lake.commit("d2", [rows(10).select("side", "a", "key_low", "label", "b", "key_high")], 0)
    X, _ = lake.matrix(1, Side.HOLDOUT, AB)
    assert np.array_equal(X[:, 0], np.array([15, 10, 5, 0], np.float32))


def test_categories_are_numbered_as_the_train_side_has_them(lake: Lake) -> None:
    """What the layout does not know is NaN, as what is missing; samples keep the words."""
    colours = ["red", None, "blue", "red", "green"]
    frame = rows(1, 5).with_columns(
        pl.Series("c.d", colours), a=pl.Series([None, 1.0, 2.0, None, 4.0])
    )
    lake.commit("d1", [frame], None)
    layout = lake.layout(
        0,
        contract(Column("c.d", ColumnKind.CATEGORY, missing=True), Column("a", ColumnKind.NUMBER)),
    )
    assert layout == Layout(("c.d", "a"), {"c.d": ("blue", "red")}, ("c.d",))
    train, _ = lake.matrix(0, Side.TRAIN, layout)
    nan = np.nan
    assert np.array_equal(
        train, np.array([[1, nan], [0, 2], [nan, 1], [1, nan]], np.float32), equal_nan=True
    )
    assert np.isnan(lake.matrix(0, Side.HOLDOUT, layout)[0][0, 0])
    assert lake.sample(0, Side.TRAIN, layout, 3) == [("red", None), ("blue", 2.0), (None, 1.0)]


def test_a_category_without_any_value_is_all_missing(lake: Lake) -> None:
    """There may be no category on the train side."""
    lake.commit("d1", [rows(1, 4).with_columns(c=pl.lit(None, pl.String))], None)
    layout = lake.layout(0, contract(Column("c", ColumnKind.CATEGORY, missing=True)))
    assert layout.categories == {"c": ()}
    assert np.isnan(lake.matrix(0, Side.TRAIN, layout)[0]).all()


NAMES = ("a b", 'q"x', "o'k", "d.t", "ünï", "p%41", "s/l", "c,d;{}()=", "`tick", "new\nline", "row")


def test_any_column_name_is_kept_and_other_readers_read_it(lake: Lake) -> None:
    """Names are the data's; nothing in them is taken for a path or an escape."""
    values = {
        name: pl.Series([context, None], dtype=pl.Float64) for context, name in enumerate(NAMES)
    }
    texts = {f"{name} text": pl.Series(["x", None]) for name in NAMES}
    frame = rows(0, 2).drop("a", "b").with_columns(**values).with_columns(**texts)
    lake.commit("d1", [frame], None)
    lake.commit("d2", [frame.with_columns(key_low=pl.col("key_low") + 5)], 0)
    X, _ = lake.matrix(1, Side.HOLDOUT, Layout(NAMES))
    assert X[0].tolist() == list(range(len(NAMES)))
    table = raw(lake)
    seen = pl.DataFrame(table.to_pyarrow_table())
    assert set(seen.columns) == {
        *NAMES,
        *texts,
        "key_high",
        "key_low",
        "batch",
        "side",
        "label",
        "arrived_at",
    }
    assert sorted(seen["batch"]) == ["d1", "d1", "d2", "d2"]


def test_a_large_batch_is_cut_into_files_and_row_groups(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file and no row group grows with the batch."""
    monkeypatch.setattr("include.adapters.lake.datafiles.FILE_BYTES", 4000)
    monkeypatch.setattr("include.adapters.lake.datafiles.ROW_GROUP_BYTES", 1000)
    lake.commit("d1", [rows(100 * at, 100) for at in range(10)], None)
    files = pl.DataFrame(raw(lake).get_add_actions())
    assert files["num_records"].sum() == 1000
    assert files.height == 7
    assert len(lake.matrix(0, Side.TRAIN, AB)[0]) == 800


def test_contracts_are_kept_by_version_and_the_newest_stands(lake: Lake) -> None:
    """Older ones stay readable beside the lake."""
    first = contract(Column("a", ColumnKind.NUMBER))
    second = contract(
        Column("a", ColumnKind.NUMBER), Column("b", ColumnKind.CATEGORY, categories=("ü",))
    )
    lake.write_contract(first)
    assert lake.contract() == first
    lake.write_contract(second)
    assert lake.contract() == lake.require_contract() == second


def test_what_a_step_keeps_for_the_next_is_whole_and_goes_away(lake: Lake) -> None:
    """A kept frame is read back, replaced by a repeat, and dropped when its batch is done."""
    lake.stage("d1", "part-00001", rows(0))
    lake.stage("d1", "part-00000", rows(0))
    lake.stage("d1", "part-00000", rows(10))
    lake.stage("d1", "refused", rows(0, 0))
    lake.stage("d11", "part-00007", rows(0))
    assert lake.read_staged("d1", "part-00000").equals(rows(10))
    assert lake.read_staged("d1", "refused", ["a", "label"]).schema == {
        "a": pl.Float64,
        "label": pl.Int8,
    }
    lake.forget_staged("d1")
    lake.forget_staged("d1")
    with pytest.raises(FileNotFoundError):
        lake.read_staged("d1", "part-00000")
    assert lake.read_staged("d11", "part-00007").equals(rows(0))
