"""However a data set is cut into deliveries, the same rows end in the lake, each on one side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from include.records.row_columns import Side
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.data_spec import Conflicts
from include.spec.model_spec import Split
from include.stages.dedup import dedup, with_keys
from include.stages.split import ClassCounts, split

Row = tuple[float | None, str | None, int]
ROWS = st.tuples(
    st.none() | st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0]),
    st.none() | st.sampled_from(["", "a", "b", "ü"]),
    st.integers(0, 1),
)
RULES = st.builds(Split, holdout=st.sampled_from([0.1, 0.2, 0.5]), salt=st.text("ab", max_size=2))
MODES = st.sampled_from(Conflicts)
KEYS = ["key_high", "key_low"]
COLUMNS = (
    Column("x", ColumnKind.NUMBER, missing=True),
    Column("c", ColumnKind.CATEGORY, missing=True),
)
CONTRACT = Contract(1, "", "y", 1, 0, None, 0.2, "", COLUMNS)


@dataclass
class History:
    """What a lake would hold, kept in memory."""

    rule: Split
    mode: Conflicts = Conflicts.QUARANTINE
    rows: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={
                "x": pl.Float64,
                "c": pl.String,
                "key_high": pl.Int64,
                "key_low": pl.Int64,
                "label": pl.Int8,
                "side": pl.String,
            }
        )
    )

    def take(self, rows: Sequence[Row]) -> int:
        """Run a delivery through the stages, as the steps do, and return how many rows are new."""
        schema = {"x": pl.Float64, "c": pl.String, "label": pl.Int8}
        frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("line")
        keyed = with_keys(frame, CONTRACT)
        known = self.rows.join(keyed, on=KEYS, how="semi").select(*KEYS, "label", "side")
        unseen = dedup(keyed.select("line", "label", *KEYS), known, self.mode)
        assert unseen.frame.height + unseen.duplicates + unseen.conflicts.height == len(rows)
        done = split(unseen.frame, self.standing(), known, self.rule.holdout, self.rule.salt)
        new = keyed.join(done.select("line", pl.col("side").cast(pl.String)), on="line")
        self.rows = pl.concat([self.rows, new.select(self.rows.columns)])
        return new.height

    def standing(self) -> dict[int, ClassCounts]:
        """Count the rows per class."""
        return {
            label: ClassCounts(len(part), part.filter(pl.col("side") == Side.HOLDOUT).height)
            for (label,), part in self.rows.group_by("label")
        }

    def identities(self) -> list[Row]:
        """Return the rows without what the lake adds."""
        return [plain(row) for row in self.rows.select("x", "c", "label").iter_rows()]


def plain(row: Row) -> Row:
    """Return the row with one zero, as equality sees it."""
    number, text, label = row
    return (None if number is None else number + 0.0, text, label)


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[Row]]:
    """Return one small data set with repeats and conflicts, cut into batches."""
    rows = draw(st.lists(ROWS, max_size=35))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    return [rows[start:end] for start, end in pairwise([0, *cuts, len(rows)])]


@given(deliveries(), RULES, st.data())
def test_the_same_rows_whatever_the_cutting(
    batches: list[list[Row]], rule: Split, data: st.DataObject
) -> None:
    """With both labels kept, every distinct row is there once, in whatever order it came."""
    history = History(rule, Conflicts.KEEP)
    for rows in data.draw(st.permutations(batches)):
        history.take(rows)
    held = history.identities()
    assert len(held) == len(set(held))
    assert set(held) == {plain(row) for rows in batches for row in rows}


@given(deliveries(), RULES)
def test_a_key_has_the_label_that_was_said_first(batches: list[list[Row]], rule: Split) -> None:
    """With conflicts in quarantine, cutting decides nothing either: only the order of rows does."""
    history = History(rule)
    for rows in batches:
        history.take(rows)
    said: dict[tuple[float | None, str | None], int] = {}
    for number, text, label in (plain(row) for rows in batches for row in rows):
        said.setdefault((number, text), label)
    assert sorted(history.identities(), key=str) == sorted(
        ((*features, label) for features, label in said.items()), key=str
    )


@given(deliveries(), RULES, MODES)
def test_no_row_moves_and_equal_rows_share_a_side(
    batches: list[list[Row]], rule: Split, mode: Conflicts
) -> None:
    """What has a side keeps it, and a model never sees a holdout row by another label."""
    history = History(rule, mode)
    for rows in batches:
        before = history.rows
        history.take(rows)
        assert history.rows.head(before.height).equals(before)
    sides = history.rows.group_by(KEYS).agg(pl.col("side").n_unique())
    assert set(sides["side"]) <= {1}


@given(deliveries(), RULES)
def test_each_class_keeps_its_share_after_every_batch(
    batches: list[list[Row]], rule: Split
) -> None:
    """The holdout of a class is within one row of its share of all rows so far."""
    history = History(rule)
    for rows in batches:
        history.take(rows)
        for standing in history.standing().values():
            assert abs(standing.holdout - rule.holdout * standing.rows) <= 1


@given(deliveries(), RULES, MODES)
def test_a_batch_said_again_brings_nothing(
    batches: list[list[Row]], rule: Split, mode: Conflicts
) -> None:
    """A repeat leaves nothing new, whatever came in between."""
    history = History(rule, mode)
    for rows in batches:
        history.take(rows)
    assert all(history.take(rows) == 0 for rows in reversed(batches))
