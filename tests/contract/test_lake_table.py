"""The lake on a real Delta table."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

from include.adapters.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake in which nothing was ever committed."""
    return Lake(tmp_path)


def rows(first: int, count: int = 10) -> pl.DataFrame:
    """Return new rows numbered from `first`: features, key, label and side, one in five held out.

    The keys run against the numbers, so that order of arrival and order of key differ.
    """
    numbers = range(first, first + count)
    return pl.DataFrame(
        {
            "line": list(numbers),
            "b": [float(number) for number in numbers],
            "a": [number / 3 for number in numbers],
            "label": [number % 2 for number in numbers],
            "key": [(10**6 - number).to_bytes(16, "big") for number in numbers],
            "side": ["holdout" if number % 5 == 0 else "train" for number in numbers],
        },
        schema_overrides={"label": pl.Int8},
    )


def test_before_the_first_commit_there_is_no_data_set(lake: Lake) -> None:
    """History is empty, not an error."""
    assert lake.features() is None
    assert lake.dataset() is None
    assert not lake.committed("d1")
    assert lake.known().is_empty()
    assert lake.known().columns == ["key", "label", "side"]


def test_a_commit_is_counted_by_side_and_class(lake: Lake) -> None:
    """Of ten rows two are held out, and labels alternate."""
    assert lake.commit("d1", rows(0)) == 0
    dataset = lake.dataset()
    assert dataset is not None
    assert dataset.train == {"negative": 4, "positive": 4}
    assert dataset.holdout == {"negative": 1, "positive": 1}
    assert (dataset.version, dataset.rows) == (0, 10)
    assert lake.features() == ("b", "a")
    assert lake.known().height == 10


def test_a_batch_is_committed_once(lake: Lake) -> None:
    """The same digest again changes nothing, whatever it brings and whatever came between."""
    lake.commit("d1", rows(0))
    lake.commit("d2", rows(10))
    assert lake.commit("d1", rows(20)) == 0
    assert lake.known().height == 20
    assert [lake.committed(digest) for digest in ("d1", "d2", "d3")] == [0, 1, None]


def test_a_digest_is_remembered_after_a_checkpoint(lake: Lake, tmp_path: Path) -> None:
    """Tidying the table's log forgets no batch."""
    lake.commit("d1", rows(0))
    lake.commit("d2", rows(10))
    table = DeltaTable(tmp_path / "rows")
    table.create_checkpoint()
    table.cleanup_metadata()
    assert lake.committed("d1") == 0
    assert lake.commit("d2", rows(10)) == 1


def test_a_version_is_read_back_bit_for_bit(lake: Lake) -> None:
    """Later commits leave the matrix of an earlier version as it was."""
    lake.commit("d1", rows(10))
    X, y = lake.matrix(0, "train")
    lake.commit("d2", rows(0))
    again, labels = lake.matrix(0, "train")
    assert X.tobytes() == again.tobytes()
    assert y.tobytes() == labels.tobytes()
    assert len(lake.matrix(1, "train")[0]) == 16


def test_a_matrix_is_float32_in_feature_order_sorted_by_key(lake: Lake) -> None:
    """Rows of one side only, features without the lake's own columns."""
    lake.commit("d1", rows(0))
    X, y = lake.matrix(0, "holdout")
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert np.array_equal(X, np.array([[5, 5 / 3], [0, 0]], np.float32))
    assert y.tolist() == [1, 0]


def test_a_batch_with_its_columns_in_another_order_lands_in_the_right_ones(lake: Lake) -> None:
    """Columns are matched by name."""
    lake.commit("d1", rows(0))
    lake.commit("d2", rows(10).select("line", "side", "a", "key", "label", "b"))
    X, _ = lake.matrix(1, "holdout")
    assert np.array_equal(X[:, 0], np.array([15, 10, 5, 0], np.float32))
    assert lake.features() == ("b", "a")


def test_writers_at_the_same_time_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Writers race from the first commit on, each batch tried by two of them."""

    def write(turn: int) -> None:
        number = turn // 2
        Lake(tmp_path).commit(f"d{number}", rows(10 * number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    known = Lake(tmp_path).known()
    assert known.height == 60
    assert known["key"].n_unique() == 60
    assert DeltaTable(tmp_path / "rows").version() == 5


def test_what_a_step_keeps_for_the_next_is_whole_and_goes_away(lake: Lake, tmp_path: Path) -> None:
    """A kept frame is read back, replaced by a repeat, and dropped when its batch is done."""
    lake.stage("d1", "typed", rows(0))
    lake.stage("d1", "typed", rows(10))
    assert lake.staged("d1", "typed").equals(rows(10))
    lake.forget_staged("d1")
    lake.forget_staged("d1")
    assert list((tmp_path / "staging").iterdir()) == []
