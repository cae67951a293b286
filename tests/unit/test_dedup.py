import numpy as np
import polars as pl
import pytest
import xxhash

from include.records.row_columns import TableFormat
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.data_spec import Conflicts
from include.stages.dedup import NewRows, dedup, with_keys

NOTHING = pl.DataFrame(schema={"key_high": pl.Int64, "key_low": pl.Int64, "label": pl.Int8})
Row = tuple[float | None, float | None, int]


def contract(**kinds: str) -> Contract:
    """Return a contract of features of these kinds."""
    columns = tuple(Column(name, ColumnKind(kind), missing=True) for name, kind in kinds.items())
    return Contract(1, "d1", "y", 1, 0, None, 0.2, "salt", columns)


AB = contract(a="number", b="number")


def batch(*rows: Row, first_line: int = 2) -> pl.DataFrame:
    """Return a keyed batch of two features and a label, its lines counted on."""
    schema = {"a": pl.Float64, "b": pl.Float64, "label": pl.Int8}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return with_keys(frame.with_columns(line=pl.int_range(first_line, first_line + len(rows))), AB)


def after(history: pl.DataFrame, *rows: Row, keep: bool = False) -> NewRows:
    """Dedup rows against a history of keyed rows."""
    return dedup(
        batch(*rows),
        history.select(NOTHING.columns),
        Conflicts.KEEP if keep else Conflicts.QUARANTINE,
    )


def key(frame: pl.DataFrame, columns: Contract) -> list[tuple[int, int]]:
    """Return the keys of a frame."""
    return with_keys(frame, columns).select("key_high", "key_low").rows()


def test_the_key_can_be_recomputed_elsewhere() -> None:
    """It is XXH3-128 over the canonical bytes, in the order of the names."""
    frame = pl.DataFrame({"z": [1.5], "B": ["ü"], "a": [None]}, schema_overrides={"a": pl.Float64})
    columns = contract(z="number", B="category", a="number")
    text = bytes.fromhex(xxhash.xxh3_128_hexdigest("ü".encode()))
    row = text + bytes.fromhex("0000c07f") + bytes.fromhex("0000c03f")
    digest = xxhash.xxh3_128_digest(row)
    halves = [int.from_bytes(half, "big", signed=True) for half in (digest[:8], digest[8:])]
    assert key(frame, columns) == [tuple(halves)]


def test_the_example_of_the_docstring() -> None:
    """As release 0.1.0 made it, too: older versions of a table are asked by those keys."""
    frame, columns = pl.DataFrame({"a": ["x"], "b": [1.0]}), contract(a="category", b="number")
    assert key(frame, columns) == [(-6941366707761293782, -8883641251812539774)]
    older = with_keys(frame, columns, TableFormat.FIRST).select("key_high", "key_low")
    assert older.rows() == [(5663839772963075101, -9028723430301588576)]


def test_rows_that_float32_cannot_tell_apart_have_one_key() -> None:
    """Whatever type they come in; the nearest number of float32 beside it is another one."""
    tenth = np.float32(0.1)
    beside = np.nextafter(tenth, np.float32(1))
    wide = pl.DataFrame({"a": [0.1, float(tenth), 0.1 + 1e-12, float(beside)], "b": 1.0})
    narrow = pl.DataFrame({"a": pl.Series([tenth], dtype=pl.Float32), "b": 1.0})
    keys = key(wide, AB)
    assert keys[:3] == key(narrow, AB) * 3
    assert keys[3] != keys[0]
    older = with_keys(wide, AB, TableFormat.FIRST)
    assert older.select("key_high", "key_low").n_unique() == 4


def test_keys_know_no_column_order_no_negative_zero_and_no_integers() -> None:
    """What compares equal has one key."""
    here = pl.DataFrame({"a": [0.0], "b": [2.0]})
    there = pl.DataFrame({"b": [2], "a": [-0.0]})
    assert key(here, AB) == key(there, contract(b="number", a="number"))
    assert key(here, AB) != key(here.select(a="b", b="a"), AB)


def test_missing_is_a_value_of_its_own() -> None:
    """A missing number is no zero, a missing category no empty text and no NaN text."""
    numbers = key(pl.DataFrame({"a": [0.0, None, float("nan"), -float("nan")], "b": 1.0}), AB)
    assert numbers[1:] == [numbers[1]] * 3
    assert numbers[0] != numbers[1]
    texts = pl.DataFrame({"c": [None, "", "null", "a", None, "a"]})
    keys = key(texts, contract(c="category"))
    assert len(set(keys)) == 4
    assert (keys[0], keys[3]) == (keys[4], keys[5])


def test_a_category_has_one_key_whatever_stands_beside_it() -> None:
    """The digest of a text does not depend on the other texts of a part."""
    columns = contract(c="category", a="number")
    one = key(pl.DataFrame({"c": ["x"], "a": [1.0]}), columns)
    many = key(pl.DataFrame({"c": ["k", "x", "b"], "a": [1.0, 1.0, 1.0]}), columns)
    assert one[0] == many[1]


def test_an_empty_part_has_empty_keys() -> None:
    """A header alone has no row to judge."""
    assert key(pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float64}), AB) == []
    unseen = dedup(batch(), NOTHING, Conflicts.QUARANTINE)
    assert (unseen.frame.height, unseen.duplicates, unseen.conflicts.height) == (0, 0, 0)


def test_a_row_said_twice_counts_once_and_the_first_stays() -> None:
    """A batch is deduplicated in itself."""
    unseen = after(NOTHING, (1, 1, 0), (2, 2, 1), (1, 1, 0))
    assert unseen.frame["line"].to_list() == [2, 3]
    assert unseen.frame.columns == ["line", "label", "key_high", "key_low", "twin"]
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


def test_kept_conflicts_are_new_once_and_twins_of_history() -> None:
    """Each label of a key comes in once; history's side is asked for where it has the key."""
    unseen = after(
        batch((1, 1, 0)), (1, 1, 1), (1, 1, 1), (1, 1, 0), (2, 2, 0), (2, 2, 1), keep=True
    )
    assert unseen.frame.select("line", "label", "twin").rows() == [
        (2, 1, True),
        (5, 0, False),
        (6, 1, False),
    ]
    assert (unseen.duplicates, unseen.conflicts.height) == (2, 0)


def test_history_with_both_labels_makes_either_a_duplicate() -> None:
    """Also when conflicts are quarantined again."""
    unseen = after(batch((1, 1, 0), (1, 1, 1)), (1, 1, 1), (1, 1, 0))
    assert (unseen.frame.height, unseen.duplicates, unseen.conflicts.height) == (0, 2, 0)


@pytest.mark.parametrize("keep", [False, True])
def test_a_large_batch_is_judged_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch, *, keep: bool
) -> None:
    """The pieces give what the whole gives, in the order of lines."""
    rows = [(number % 37, number % 5, number % 2) for number in range(600)]
    history = batch(*rows[:40])
    whole = after(history, *rows, keep=keep)
    monkeypatch.setattr("include.stages.dedup._BUCKET", 50)
    pieces = after(history, *rows, keep=keep)
    assert pieces.frame.equals(whole.frame)
    assert pieces.conflicts.equals(whole.conflicts)
    assert pieces.duplicates == whole.duplicates
