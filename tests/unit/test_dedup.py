import polars as pl
import pytest

from include.stages.dedup import Unseen, dedup, with_keys

NOTHING = pl.DataFrame(schema={"key": pl.Binary, "label": pl.Int8})
Row = tuple[float, float, int]


def batch(*rows: Row, columns: tuple[str, str] = ("a", "b"), first_line: int = 2) -> pl.DataFrame:
    """Return a keyed batch of two features and a label, its lines counted on."""
    frame = pl.DataFrame(rows, schema=[*columns, "label"], orient="row").with_columns(
        pl.col("label").cast(pl.Int8), line=pl.int_range(first_line, first_line + len(rows))
    )
    return with_keys(frame, columns)


def after(history: pl.DataFrame, *rows: Row) -> Unseen:
    """Dedup rows against a history of keyed rows."""
    return dedup(batch(*rows), history.select("key", "label"))


def test_keys_are_sixteen_bytes_of_the_values() -> None:
    """Equal rows have equal keys, other rows other keys."""
    keys = batch((1, 2, 0), (1, 2, 1), (2, 1, 0))["key"].to_list()
    assert [len(key) for key in keys] == [16, 16, 16]
    assert keys[0] == keys[1] != keys[2]


def test_keys_know_no_column_order_and_no_negative_zero() -> None:
    """What compares equal has one key."""
    assert batch((0.0, 2, 0))["key"][0] == batch((2, -0.0, 0), columns=("b", "a"))["key"][0]


def test_a_row_said_twice_counts_once_and_the_first_stays() -> None:
    """A batch is deduplicated in itself."""
    unseen = after(NOTHING, (1, 1, 0), (2, 2, 1), (1, 1, 0))
    assert unseen.frame["line"].to_list() == [2, 3]
    assert (unseen.duplicates, unseen.conflicts.height) == (1, 0)


def test_a_row_of_history_is_a_duplicate() -> None:
    """All history is subtracted."""
    unseen = after(batch((1, 1, 0), (3, 3, 1)), (1, 1, 0), (2, 2, 1), (2, 2, 1))
    assert unseen.frame["line"].to_list() == [3]
    assert unseen.duplicates == 2


def test_another_label_for_known_features_is_a_conflict() -> None:
    """What history says of a row stands, whatever order the batch says it in."""
    unseen = after(batch((1, 1, 0)), (1, 1, 1), (1, 1, 0))
    assert unseen.conflicts.rows(named=True) == [{"line": 2, "label": 1}]
    assert (unseen.frame.height, unseen.duplicates) == (0, 1)


def test_within_a_batch_the_first_label_stands() -> None:
    """A later row with another label is refused, not the first."""
    unseen = after(NOTHING, (1, 1, 1), (1, 1, 0), (1, 1, 1))
    assert unseen.frame["line"].to_list() == [2]
    assert unseen.conflicts["line"].to_list() == [3]
    assert unseen.duplicates == 1


@pytest.mark.parametrize("name", ["settled", "known_label", "order", "rank", "row"])
def test_a_feature_may_bear_any_other_name(name: str) -> None:
    """No column of a delivery meets a column of the computation."""
    first = batch((1, 7, 0), (1, 8, 1), columns=("a", name))
    unseen = dedup(batch((1, 7, 0), (1, 9, 1), columns=("a", name)), first)
    assert unseen.frame[name].to_list() == [9]
    assert (unseen.duplicates, unseen.conflicts.height) == (1, 0)


def test_an_empty_batch_leaves_nothing() -> None:
    """A header alone has no row to judge."""
    unseen = dedup(batch(), NOTHING)
    assert (unseen.frame.height, unseen.duplicates, unseen.conflicts.height) == (0, 0, 0)
