"""Rows with ids: what is new, what is a duplicate, what corrects, and which side it stands on."""

from collections.abc import Sequence

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from include.stages.dedup_by_id import ChangedIds, IdentifiedRows, dedup_by_id

Line = tuple[str, int, int]
"""Id, key and label of a line."""
Known = tuple[str | None, int, int, str]
"""Id, key, label and side of a row of history."""
KNOWN = pl.Schema(
    {
        "id": pl.String,
        "key_high": pl.Int64,
        "key_low": pl.Int64,
        "label": pl.Int8,
        "side": pl.String,
    }
)


def batch(lines: Sequence[Line], first: int = 2) -> pl.DataFrame:
    """Return a keyed batch, its lines counted on."""
    rows = [(line, name, key, 0, label) for line, (name, key, label) in enumerate(lines, first)]
    schema = {"line": pl.Int64, "id": pl.String, "key_high": pl.Int64, "key_low": pl.Int64}
    return pl.DataFrame(rows, {**schema, "label": pl.Int8}, orient="row")


def history(rows: Sequence[Known]) -> pl.DataFrame:
    """Return rows of history."""
    return pl.DataFrame(
        [(name, key, 0, label, side) for name, key, label, side in rows], KNOWN, orient="row"
    )


def compared(
    lines: Sequence[Line], known: Sequence[Known] = (), trained: Sequence[int] = ()
) -> IdentifiedRows:
    """Compare lines with history."""
    keys = pl.DataFrame(
        [(key, 0) for key in trained], {"key_high": pl.Int64, "key_low": pl.Int64}, orient="row"
    )
    return dedup_by_id(batch(lines), history(known), keys)


def written(rows: IdentifiedRows) -> list[tuple[str, int, int, str | None]]:
    """Return id, key, label and side of the rows to write."""
    return rows.frame.select("id", "key_high", "label", "side").rows()


def as_known(frame: pl.DataFrame) -> list[Known]:
    """Return rows of history as they were given."""
    return frame.select("id", "key_high", "label", "side").rows()


def counts(rows: IdentifiedRows) -> tuple[int, int, int]:
    """Return how many rows are new, duplicates and corrections."""
    return rows.new, rows.duplicates, rows.corrections


def test_equal_features_under_two_ids_are_two_rows() -> None:
    """Whatever their labels: two patients with the same figures are two patients."""
    rows = compared([("a", 7, 1), ("b", 7, 1), ("c", 7, 0)])
    assert written(rows) == [("a", 7, 1, None), ("b", 7, 1, None), ("c", 7, 0, None)]
    assert counts(rows) == (3, 0, 0)


def test_the_same_id_with_the_same_content_is_a_duplicate() -> None:
    """In the file and in history."""
    rows = compared([("a", 7, 1), ("b", 8, 0), ("b", 8, 0)], [("a", 7, 1, "train")])
    assert written(rows) == [("b", 8, 0, None)]
    assert counts(rows) == (1, 2, 0)


def test_another_label_corrects_the_row_on_its_side() -> None:
    """The old row goes in the same commit."""
    rows = compared([("a", 7, 0)], [("a", 7, 1, "holdout")])
    assert written(rows) == [("a", 7, 0, "holdout")]
    assert as_known(rows.replaced) == [("a", 7, 1, "holdout")]
    assert counts(rows) == (0, 0, 1)


def test_of_two_lines_with_one_id_the_later_one_corrects() -> None:
    """As if each were a file of its own."""
    rows = compared([("a", 7, 0), ("a", 8, 1)])
    assert written(rows) == [("a", 8, 1, None)]
    assert counts(rows) == (1, 0, 1)


def test_a_correction_that_is_taken_back_changes_nothing() -> None:
    """The table is left as it is; both lines are counted."""
    rows = compared([("a", 7, 0), ("a", 7, 1)], [("a", 7, 1, "train")])
    assert written(rows) == []
    assert rows.replaced.is_empty()
    assert counts(rows) == (0, 0, 2)


def test_a_new_row_stands_where_its_twin_stands() -> None:
    """Twins of history are not split from one another."""
    assert written(compared([("b", 7, 1)], [("a", 7, 0, "holdout")])) == [("b", 7, 1, "holdout")]


def test_a_correction_in_the_holdout_with_a_twin_that_trains_trains() -> None:
    """No row of the holdout has the features of one that trains."""
    rows = compared([("a", 8, 1)], [("a", 7, 1, "holdout"), ("b", 8, 1, "train")])
    assert written(rows) == [("a", 8, 1, "train")]
    assert rows.moved.is_empty()


def test_a_correction_that_trains_takes_its_twins_of_the_holdout_along() -> None:
    """What was trained on never enters the holdout, so the others leave it."""
    known: list[Known] = [("a", 7, 1, "train"), ("b", 8, 0, "holdout"), ("c", 9, 0, "holdout")]
    rows = compared([("a", 8, 1)], known)
    assert written(rows) == [("a", 8, 1, "train")]
    assert as_known(rows.moved) == [("b", 8, 0, "holdout")]


def test_features_that_a_correction_leaves_behind_on_the_train_side_stay_there() -> None:
    """The champion was fitted on them: a new row with the same ones is no test of it."""
    rows = compared([("a", 8, 1), ("b", 7, 1)], [("a", 7, 1, "train")])
    assert written(rows) == [("a", 8, 1, "train"), ("b", 7, 1, "train")]


def test_features_that_were_trained_on_once_train_again() -> None:
    """However long ago the row with them was corrected."""
    assert written(compared([("b", 7, 1), ("c", 8, 1)], trained=[7])) == [
        ("b", 7, 1, "train"),
        ("c", 8, 1, None),
    ]


def test_a_row_from_before_there_were_ids_gets_that_of_its_equal() -> None:
    """Once: the second row with this content is another one."""
    rows = compared([("a", 7, 1), ("b", 7, 1)], [(None, 7, 1, "holdout"), (None, 8, 1, "train")])
    assert written(rows) == [("a", 7, 1, "holdout"), ("b", 7, 1, "holdout")]
    assert as_known(rows.replaced) == [(None, 7, 1, "holdout")]
    assert counts(rows) == (1, 1, 0)


def test_labels_that_change_are_not_suspicious() -> None:
    """They come late by nature; only other features say that an id names another thing."""
    known: list[Known] = [(str(number), number, 0, "train") for number in range(200)]
    relabelled = compared([(name, key, 1) for name, key, _, _ in known if name], known)
    assert relabelled.ids == ChangedIds(200, 0)
    assert not relabelled.ids.is_suspicious


def test_more_than_one_known_id_in_a_hundred_with_other_features_is_suspicious() -> None:
    """New ids count on neither side."""
    known: list[Known] = [(str(number), number, 0, "train") for number in range(200)]
    same = [(str(number), number, 0) for number in range(200)]
    new = [(f"n{number}", 1000 + number, 0) for number in range(500)]
    two = compared([*same[2:], ("0", 900, 0), ("1", 901, 0), *new], known)
    three = compared([*same[3:], ("0", 900, 0), ("1", 901, 0), ("2", 902, 0), *new], known)
    assert (two.ids, three.ids) == (ChangedIds(200, 2), ChangedIds(200, 3))
    assert (two.ids.is_suspicious, three.ids.is_suspicious) == (False, True)


def test_ids_that_come_again_in_one_file_are_known_ids() -> None:
    """A column of customers, each with many rows, does not name rows."""
    rows = compared([(f"c{number % 10}", number, 0) for number in range(100)])
    assert rows.ids == ChangedIds(10, 10)
    assert rows.ids.is_suspicious


LINES = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 4), st.integers(0, 1)))


@st.composite
def histories(draw: st.DrawFn) -> list[Known]:
    """Return rows of history: ids once, each key on one side, contents without id once."""
    sides = draw(st.lists(st.sampled_from(["train", "holdout"]), min_size=5, max_size=5))
    named = draw(st.dictionaries(st.sampled_from("abcdefg"), st.tuples(*[st.integers(0, 4)] * 2)))
    nameless = draw(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 1)), max_size=3))
    return [
        *((name, key, label % 2, sides[key]) for name, (key, label) in named.items()),
        *((None, key, label, sides[key]) for key, label in sorted(nameless)),
    ]


def line_by_line(lines: Sequence[Line], known: Sequence[Known]) -> dict[str, object]:
    """Say what `dedup_by_id` is to return, one line after another, in plain Python."""
    table = {name: (key, label) for name, key, label, _ in known if name is not None}
    nameless = [(key, label) for name, key, label, _ in known if name is None]
    seen, adopted = set(table), dict[str, tuple[int, int]]()
    new = duplicates = corrections = 0
    met, changed = set[str](), set[str]()
    for name, key, label in lines:
        if name not in table and (key, label) in nameless:
            nameless.remove((key, label))
            table[name] = adopted[name] = (key, label)
        if name not in table:
            new += 1
        else:
            met.add(name)
            duplicates += table[name] == (key, label)
            corrections += table[name] != (key, label)
            if table[name][0] != key:
                changed.add(name)
        table[name] = (key, label)
    before = {name: (key, label, side) for name, key, label, side in known if name is not None}
    sides = {key: side for _, key, _, side in known}
    before |= {name: (*content, sides[content[0]]) for name, content in adopted.items()}
    write = {
        name: content
        for name, content in table.items()
        if name in adopted or name not in before or before[name][:2] != content
    }
    assert seen <= set(table)
    gone = {before[name][0] for name in write if name in before and before[name][2] == "train"}
    rest = [
        (key, side)
        for name, key, label, side in known
        if name not in write and not (name is None and (key, label) in adopted.values())
    ]
    votes = [*rest, *((write[name][0], before[name][2]) for name in write if name in before)]
    votes += [(key, "train") for key in gone]
    decided = {key: max(side for k, side in votes if k == key) for key, _ in votes}
    return {
        "frame": sorted((name, *write[name], decided.get(write[name][0])) for name in write),
        "moved": sorted(
            (name or "", key, label)
            for name, key, label, side in known
            if side == "holdout"
            and decided.get(key) == "train"
            and key in {content[0] for content in write.values()}
            and name not in write
            and not (name is None and (key, label) in adopted.values())
        ),
        "counts": (new, duplicates, corrections),
        "ids": ChangedIds(len(met), len(changed)),
    }


@given(LINES, histories())
def test_it_is_what_reading_line_by_line_comes_to(lines: list[Line], known: list[Known]) -> None:
    """Rows to write with their sides, rows that move, counts."""
    rows = compared(lines, known)
    assert {
        "frame": sorted(written(rows)),
        "moved": sorted((name or "", key, label) for name, key, label, _ in as_known(rows.moved)),
        "counts": counts(rows),
        "ids": rows.ids,
    } == line_by_line(lines, known)


@given(LINES, histories())
def test_cut_into_buckets_or_whole_it_is_the_same(lines: list[Line], known: list[Known]) -> None:
    """How much is compared at once decides nothing."""
    import pytest

    whole = compared(lines, known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.stages.dedup_by_id._BUCKET", 2)
        parts = compared(lines, known)
    assert parts.frame.equals(whole.frame)
    assert counts(parts) == counts(whole)
    assert parts.replaced.sort("id", "key_high").equals(whole.replaced.sort("id", "key_high"))
