from itertools import product

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.stages.split import ClassCounts, salted_order, split

ORDER = [12298538711888488768, 5728793603561181306]
NOTHING = pl.DataFrame(schema={"key_high": pl.Int64, "key_low": pl.Int64, "side": pl.String})


def keyed(negatives: int, positives: int, pairs: int = 0) -> pl.DataFrame:
    """Return new rows of both classes with keys of their own, and keys with both labels."""
    labels = [0] * (negatives + pairs) + [1] * (positives + pairs)
    singles = negatives + positives
    shared = list(range(singles, singles + pairs))
    keys = [*range(negatives), *shared, *range(negatives, singles), *shared]
    return pl.DataFrame(
        {"line": range(len(labels)), "label": labels, "key_high": keys, "key_low": keys},
        schema_overrides={"label": pl.Int8, "key_high": pl.Int64, "key_low": pl.Int64},
    ).with_columns(twin=False)


def sided(
    frame: pl.DataFrame,
    standing: dict[int, ClassCounts] | None = None,
    forced: pl.DataFrame = NOTHING,
    salt: str = "salt",
) -> pl.DataFrame:
    """Split with a fifth in the holdout."""
    return split(frame, standing or {}, forced, 0.2, salt)


def holdouts(frame: pl.DataFrame) -> dict[int, int]:
    """Return the holdout rows of each class."""
    return dict(frame.filter(pl.col("side") == "holdout").group_by("label").len().iter_rows())


def test_each_class_gets_its_own_share() -> None:
    """The first batch is cut 80/20 class by class."""
    assert holdouts(sided(keyed(100, 10))) == {0: 20, 1: 2}


def test_a_batch_tops_up_what_history_lacks() -> None:
    """Twenty of a hundred are wanted; two are there."""
    assert holdouts(sided(keyed(50, 0), {0: ClassCounts(50, 2)})) == {0: 18}


def test_a_batch_takes_nothing_back() -> None:
    """Where the holdout has too many rows already, all new ones train."""
    assert holdouts(sided(keyed(50, 0), {0: ClassCounts(50, 40)})) == {}


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_a_few_rows_stay_within_one_of_their_share(rows: int) -> None:
    """Rounding is to the nearest row."""
    assert abs(holdouts(sided(keyed(rows, 0))).get(0, 0) - 0.2 * rows) <= 0.5


def test_the_order_of_a_file_decides_nothing() -> None:
    """The same rows in reverse stand on the same sides."""
    rows = keyed(40, 10, 7)
    there, back = sided(rows), sided(rows.reverse())
    assert there.equals(back.sort("line"))


def test_another_salt_is_another_split() -> None:
    """Two specs on the same rows hold out different ones."""
    rows = keyed(40, 10)
    assert not sided(rows, salt="a").equals(sided(rows, salt="b"))


def test_the_salted_order_never_changes() -> None:
    """Rows that are in a lake were sided by it; another order would side the next ones anew."""
    assert salted_order(keyed(2, 0), "ratchet").tolist() == ORDER


def test_rows_come_back_as_they_were_with_a_side() -> None:
    """Nothing but `side` is added."""
    rows = keyed(5, 5)
    assert sided(rows).drop("side").equals(rows)
    assert sided(rows.clear()).columns == [*rows.columns, "side"]


def test_rows_that_tie_in_the_salted_order_go_by_their_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The count is exact and a file's order decides nothing even then."""
    monkeypatch.setattr("include.stages.split._mixed", lambda words: words * 0)
    there = sided(keyed(10, 5, 5))
    assert there.equals(sided(keyed(10, 5, 5).reverse()).sort("line"))
    assert holdouts(there) == {0: 3, 1: 2}


def test_a_twin_stands_where_history_stands() -> None:
    """Whatever that does to the share; the free rows make up for it."""
    rows = keyed(10, 0).with_columns(twin=pl.col("line") < 6)
    forced = rows.select("key_high", "key_low").with_columns(
        side=pl.when(rows["line"] < 1).then(pl.lit("holdout")).otherwise(pl.lit("train"))
    )
    done = sided(rows, forced=forced.head(6))
    assert done["side"].head(6).to_list() == ["holdout"] + ["train"] * 5
    assert holdouts(done) == {0: 2}


@given(
    st.tuples(*[st.integers(0, 5)] * 3),
    st.tuples(*[st.tuples(st.integers(0, 30), st.integers(0, 9))] * 2),
)
def test_no_assignment_that_keeps_equal_rows_together_is_nearer_to_the_share(
    counts: tuple[int, int, int], held: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """The worse class is as near as it can be; within a row where any assignment is."""
    negatives, positives, pairs = counts
    standing = {
        label: ClassCounts(max(rows, held), held) for label, (rows, held) in enumerate(held)
    }
    done = sided(keyed(negatives, positives, pairs), standing)
    assert done.group_by("key_high").agg(pl.col("side").n_unique())["side"].max() in (1, None)

    def worst(mine: dict[int, int]) -> float:
        new = {0: negatives + pairs, 1: positives + pairs}
        return max(
            abs(was.holdout + mine.get(label, 0) - 0.2 * (was.rows + new[label]))
            for label, was in standing.items()
        )

    tried = product(range(negatives + 1), range(positives + 1), range(pairs + 1))
    best = min(worst({0: zero + both, 1: one + both}) for zero, one, both in tried)
    assert worst(holdouts(done)) == pytest.approx(best)
