"""However a data set is cut into deliveries, the same rows end in the lake, each on one side."""

from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from include.spec import Data, Split
from include.stages.dedup import dedup, with_keys
from include.stages.ingest import ingest
from include.stages.split import HOLDOUT, Standing, split

Row = tuple[int, int, int]
DATA = Data(target="y")
NUMBERS = st.integers(-3, 3)
SPELLINGS = ("{}", "{}.0", "{}e0", " {} ", "{:+}")
RULES = st.builds(Split, holdout=st.sampled_from([0.1, 0.2, 0.5]), salt=st.text("ab", max_size=2))


@dataclass
class History:
    """What a lake would hold, kept in memory."""

    rule: Split
    rows: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={
                "a": pl.Float64,
                "b": pl.Float64,
                "key": pl.Binary,
                "label": pl.Int8,
                "side": pl.String,
            }
        )
    )

    def take(self, lines: list[str]) -> pl.DataFrame:
        """Run a delivery through the stages, as the steps do, and return its new rows."""
        typed = ingest(lines, DATA, ("a", "b"))
        unseen = dedup(with_keys(typed.frame, typed.features), self.rows.select("key", "label"))
        standing = {
            label: Standing(len(part), part.filter(pl.col("side") == HOLDOUT).height)
            for (label,), part in self.rows.group_by("label")
        }
        new = split(unseen.frame, standing, self.rule).select(self.rows.columns)
        self.rows = pl.concat([self.rows, new])
        return new


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[Row]]:
    """Return one small data set, cut into batches in some order, with repeats in and across."""
    labels = draw(st.dictionaries(st.tuples(NUMBERS, NUMBERS), st.integers(0, 1), max_size=25))
    rows = [(a, b, label) for (a, b), label in labels.items()]
    if not rows:
        return [[]]
    repeats = draw(st.lists(st.sampled_from(rows), max_size=10))
    order = draw(st.permutations(rows + repeats))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    edges = [0, *cuts, len(order)]
    return [order[start:end] for start, end in pairwise(edges)]


@st.composite
def written(draw: st.DrawFn, rows: list[Row]) -> list[str]:
    """Return the lines of a delivery: its columns in some order, its numbers in some spelling."""
    columns = draw(st.permutations(["a", "b", "y"]))
    lines = [",".join(columns) + "\n"]
    for row in rows:
        cells = dict(zip(("a", "b", "y"), row, strict=True))
        spelt = (draw(st.sampled_from(SPELLINGS)).format(cells[name]) for name in columns)
        lines.append(",".join(spelt) + "\n")
    return lines


@given(deliveries(), RULES, st.data())
def test_the_same_rows_whatever_the_cutting(
    batches: list[list[Row]], rule: Split, data: st.DataObject
) -> None:
    """Every distinct row is there once, on one side, and no row ever moves."""
    history = History(rule)
    for rows in batches:
        before = history.rows
        history.take(data.draw(written(rows)))
        assert history.rows.head(before.height).equals(before)
    held = {(a, b, label) for a, b, label in history.rows.select("a", "b", "label").iter_rows()}
    assert held == {row for rows in batches for row in rows}
    assert history.rows["key"].n_unique() == history.rows.height == len(held)


@given(deliveries(), RULES)
def test_each_class_keeps_its_share_after_every_batch(
    batches: list[list[Row]], rule: Split
) -> None:
    """The holdout of a class is within one row of its share of all rows so far."""
    history = History(rule)
    for rows in batches:
        history.take(["a,b,y\n", *[f"{a},{b},{y}\n" for a, b, y in rows]])
        for _, part in history.rows.group_by("label"):
            held = part.filter(pl.col("side") == HOLDOUT).height
            assert abs(held - rule.holdout * part.height) <= 1


@given(deliveries(), RULES)
def test_a_batch_said_again_is_all_duplicates(batches: list[list[Row]], rule: Split) -> None:
    """A repeat leaves nothing new, whatever came in between."""
    history = History(rule)
    texts = [["a,b,y\n", *[f"{a},{b},{y}\n" for a, b, y in rows]] for rows in batches]
    for lines in texts:
        history.take(lines)
    assert all(history.take(lines).height == 0 for lines in reversed(texts))


@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=2))
def test_equal_values_are_duplicates_however_they_are_written(values: list[float]) -> None:
    """Shortest digits, seventeen digits, capital E or a zero with a sign: one row."""
    history = History(Split())
    a, b = values
    history.take(["a,b,y\n", f"{a!r},{b!r},1\n"])
    zero_signed = -0.0 if b == 0 else b
    assert history.take(["y,b,a\n", f"1,{zero_signed:.17g},{a:.17E}\n"]).height == 0
