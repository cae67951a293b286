import polars as pl
import pytest

from include.spec import Split
from include.stages.split import Standing, split


def keyed(negatives: int, positives: int) -> pl.DataFrame:
    """Return new rows of both classes with keys of their own, and a feature called `rank`."""
    labels = [0] * negatives + [1] * positives
    keys = [number.to_bytes(16, "big") for number in range(len(labels))]
    return pl.DataFrame(
        {"rank": [9.0] * len(labels), "key": keys, "label": labels},
        schema={"rank": pl.Float64, "key": pl.Binary, "label": pl.Int8},
    )


def holdouts(frame: pl.DataFrame) -> dict[int, int]:
    """Return the holdout rows of each class."""
    return dict(frame.filter(pl.col("side") == "holdout").group_by("label").len().iter_rows())


def test_each_class_gets_its_own_share() -> None:
    """The first batch is cut 80/20 class by class."""
    assert holdouts(split(keyed(100, 10), {}, Split())) == {0: 20, 1: 2}


def test_a_batch_tops_up_what_history_lacks() -> None:
    """Twenty of a hundred are wanted; two are there."""
    assert holdouts(split(keyed(50, 0), {0: Standing(50, 2)}, Split())) == {0: 18}


def test_a_batch_takes_nothing_back() -> None:
    """Where the holdout has too many rows already, all new ones train."""
    assert holdouts(split(keyed(50, 0), {0: Standing(50, 40)}, Split())) == {}


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_a_few_rows_stay_within_one_of_their_share(rows: int) -> None:
    """Rounding is to the nearest row."""
    assert abs(holdouts(split(keyed(rows, 0), {}, Split())).get(0, 0) - 0.2 * rows) <= 0.5


def test_the_order_of_a_file_decides_nothing() -> None:
    """The same rows in reverse stand on the same sides."""
    rows = keyed(40, 10)
    there, back = split(rows, {}, Split()), split(rows.reverse(), {}, Split())
    assert there.sort("key").equals(back.sort("key"))


def test_another_salt_is_another_split() -> None:
    """Two specs on the same rows hold out different ones."""
    rows = keyed(40, 10)
    assert not split(rows, {}, Split(salt="a")).equals(split(rows, {}, Split(salt="b")))


def test_rows_come_back_as_they_were_with_a_side() -> None:
    """Nothing but `side` is added, and no feature is taken for a column of the computation."""
    rows = keyed(5, 5)
    assert split(rows, {}, Split()).drop("side").equals(rows)
    assert split(rows.clear(), {}, Split()).columns == [*rows.columns, "side"]
