"""However rows with ids are cut into deliveries, the table ends with the last word on each id."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from include.records.row_columns import Side
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.model_spec import Split
from include.stages.dedup import with_keys
from include.stages.dedup_by_id import IdentifiedRows, dedup_by_id
from include.stages.split import ClassCounts, split, standing_without

Row = tuple[str, float | None, int]
ROWS = st.tuples(
    st.sampled_from("abcdefghijkl"),
    st.none() | st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0]),
    st.integers(0, 1),
)
RULES = st.builds(Split, holdout=st.sampled_from([0.1, 0.2, 0.5]), salt=st.text("ab", max_size=2))
KEYS = ["key_high", "key_low"]
CONTRACT = Contract(1, "", "y", 1, 0, "i", 0.2, "", (Column("x", ColumnKind.NUMBER, missing=True),))
STORED = {
    "id": pl.String,
    "key_high": pl.Int64,
    "key_low": pl.Int64,
    "label": pl.Int8,
    "side": pl.String,
}


@dataclass
class IdentifiedHistory:
    """What a lake of rows with ids would hold, kept in memory."""

    rule: Split
    rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STORED))
    trained: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"key_high": pl.Int64, "key_low": pl.Int64})
    )
    """Keys of rows that trained until a correction replaced them."""

    def take(self, rows: Sequence[Row]) -> IdentifiedRows:
        """Run a delivery through the stages, as the steps do, and return what it changed."""
        schema = {"id": pl.String, "x": pl.Float64, "label": pl.Int8}
        frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("line")
        keyed = with_keys(frame.with_columns(pl.col("line").cast(pl.Int64)), CONTRACT)
        changes = dedup_by_id(keyed, self.rows, self.trained)
        assert changes.new + changes.duplicates + changes.corrections == len(rows)
        decided = changes.frame.with_columns(twin=pl.col("side").is_not_null())
        forced = decided.filter("twin").select(*KEYS, "side").unique()
        standing = standing_without(self.standing(), changes.replaced, changes.moved)
        done = split(decided.drop("side"), standing, forced, self.rule.holdout, self.rule.salt)
        new = done.with_columns(pl.col("side").cast(pl.String)).select(list(STORED))
        kept = self.rows.join(changes.replaced, on=["id"], how="anti")
        is_moved = pl.col("id").is_in(changes.moved["id"].implode())
        side = pl.when(is_moved).then(pl.lit("train")).otherwise(pl.col("side"))
        self.rows = pl.concat([kept.with_columns(side.alias("side")), new])
        left = changes.replaced.filter(pl.col("side") == Side.TRAIN).select(KEYS)
        self.trained = pl.concat([self.trained, left])
        return changes

    def standing(self) -> dict[int, ClassCounts]:
        """Count the rows per class."""
        return {
            label: ClassCounts(len(part), part.filter(pl.col("side") == Side.HOLDOUT).height)
            for (label,), part in self.rows.group_by("label")
        }

    def contents(self) -> dict[str, tuple[int, int]]:
        """Return key and label of each id, which stands once."""
        held = {name: (key, label) for name, key, _, label, _ in self.rows.iter_rows()}
        assert len(held) == self.rows.height
        return held

    def on(self, side: Side) -> tuple[set[str], set[int]]:
        """Return the ids and the keys on a side."""
        rows = self.rows.filter(pl.col("side") == side)
        return set(rows["id"]), set(rows["key_high"])


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[Row]]:
    """Return rows in which ids and features come again, cut into batches."""
    rows = draw(st.lists(ROWS, max_size=35))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    return [rows[start:end] for start, end in pairwise([0, *cuts, len(rows)])]


def last_words(batches: Sequence[Sequence[Row]], rule: Split) -> dict[str, tuple[int, int]]:
    """Return what the last line of each id says, in the form of `contents`."""
    lines = {row[0]: row for rows in batches for row in rows}
    history = IdentifiedHistory(rule)
    for row in lines.values():
        history.take([row])
    return history.contents()


@given(deliveries(), RULES, st.data())
def test_the_last_line_of_an_id_stands_whatever_the_cutting(
    batches: list[list[Row]], rule: Split, data: st.DataObject
) -> None:
    """In whatever order deliveries come, and in one piece or in many."""
    ordered = data.draw(st.permutations(batches))
    history, whole = IdentifiedHistory(rule), IdentifiedHistory(rule)
    for rows in ordered:
        history.take(rows)
    whole.take([row for rows in ordered for row in rows])
    assert history.contents() == whole.contents() == last_words(ordered, rule)


@given(deliveries(), RULES)
def test_the_counts_do_not_depend_on_the_cutting_either(
    batches: list[list[Row]], rule: Split
) -> None:
    """Each line is new, a duplicate or a correction, wherever a file ends."""
    history, whole = IdentifiedHistory(rule), IdentifiedHistory(rule)
    parts = [history.take(rows) for rows in batches]
    single = whole.take([row for rows in batches for row in rows])
    counts = [(one.new, one.duplicates, one.corrections) for one in parts]
    assert tuple(map(sum, zip(*counts, strict=True))) == (
        single.new,
        single.duplicates,
        single.corrections,
    )


@given(deliveries(), RULES)
def test_what_was_ever_trained_on_is_never_in_the_holdout(
    batches: list[list[Row]], rule: Split
) -> None:
    """Neither an id nor features; so no key stands on two sides, and no id."""
    history = IdentifiedHistory(rule)
    ids, keys = set[str](), set[int]()
    for rows in batches:
        history.take(rows)
        trained, held = history.on(Side.TRAIN), history.on(Side.HOLDOUT)
        ids, keys = ids | trained[0], keys | trained[1]
        assert not ids & held[0]
        assert not keys & held[1]


@given(deliveries(), RULES)
def test_a_row_leaves_the_holdout_only_where_its_features_train(
    batches: list[list[Row]], rule: Split
) -> None:
    """Any other row, corrected or not, stays on its side."""
    history = IdentifiedHistory(rule)
    for rows in batches:
        before = history.on(Side.HOLDOUT)[0]
        history.take(rows)
        left = history.rows.filter(pl.col("id").is_in(list(before - history.on(Side.HOLDOUT)[0])))
        keys = set(left["key_high"])
        older = set(history.trained["key_high"])
        others = history.rows.filter(~pl.col("id").is_in(left["id"].implode()))
        trains = set(others.filter(pl.col("side") == Side.TRAIN)["key_high"])
        assert keys <= trains | older


@given(deliveries(), RULES)
def test_a_delivery_said_again_at_once_changes_nothing(
    batches: list[list[Row]], rule: Split
) -> None:
    """Each of its ids has the content of its last line already."""
    history = IdentifiedHistory(rule)
    for rows in batches:
        history.take(rows)
        last = list({row[0]: row for row in rows}.values())
        assert history.take(last).frame.is_empty()


@given(st.lists(ROWS, max_size=60), RULES)
def test_each_class_has_its_share_as_far_as_twins_allow(rows: list[Row], rule: Split) -> None:
    """Within half a row, or half of the largest cluster of equal features, for each class."""
    history = IdentifiedHistory(rule)
    numbered = [(f"{place}", x, label) for place, (_, x, label) in enumerate(rows)]
    history.take(numbered)
    sizes = history.rows.group_by("key_high").len()["len"]
    largest = max(sizes, default=1)
    for standing in history.standing().values():
        assert abs(standing.holdout - rule.holdout * standing.rows) <= max(1, largest)
