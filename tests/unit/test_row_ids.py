"""The ids of rows: how they are read, and which columns of a first file are taken for them."""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.errors import FileRefusedError
from include.spec.model_spec import Spec
from include.stages.ingest import DeliveryReading, RefusedRow, ingest
from include.stages.ingest.row_ids import looks_like_an_id, row_ids
from include.text.numbers import NO_VALUE
from serving.values.spelling import AROUND, category_form


def a_spec(**data: Any) -> Spec:
    """Return a spec with these fields of its data part."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    slices = data.pop("slices", ())
    return Spec.model_validate(fields | {"slices": slices, "data": {"target": "y"} | data})


def opened(frame: pl.DataFrame, name: str = "x.csv", **data: Any) -> DeliveryReading:
    """Start to read a first file."""
    buffer = io.BytesIO()
    if name.endswith(".parquet"):
        frame.write_parquet(buffer)
    elif name.endswith(".jsonl"):
        frame.write_ndjson(buffer)
    else:
        frame.write_csv(buffer)
    buffer.seek(0)
    return ingest(buffer, name, a_spec(**data), None)


def table(rows: int, **columns: Any) -> pl.DataFrame:
    """Return a table of one plain feature, a label, and columns beside them."""
    place = pl.int_range(rows, eager=True)
    plain = pl.DataFrame({"v": (place % 7) / 4, "y": place % 2})
    return pl.DataFrame(columns).hstack(plain)


def read(
    content: str, contract: Any = None, **data: Any
) -> tuple[list[str], list[tuple[int, str]], list[RefusedRow]]:
    """Return the ids of the good rows, line and feature of them, and the refused rows."""
    ingested = ingest(io.BytesIO(content.encode()), "x.csv", a_spec(id="i", **data), contract)
    parts = list(ingested.parts)
    ids = [one for part in parts if part.ids is not None for one in part.ids]
    rows = [row[:2] for part in parts for row in part.frame.iter_rows()]
    return ids, rows, [row for part in parts for row in part.refused]


def test_an_id_has_one_form_as_an_integer_category_has() -> None:
    """A column that pandas made floats of, for a gap in it, names the same rows."""
    values = pl.Series("i", ["1", "1.0", " 2 ", "007", "1.50", "a-1", "é"])
    assert row_ids(values).to_list() == ["1", "1", "2", "007", "1.50", "a-1", "é"]


def test_a_row_without_an_id_is_refused() -> None:
    """Empty, or a text that programs write for no value."""
    ids, rows, refused = read("i,v,y\n1,0.5,1\n,0.5,1\nNaN,0.5,0\nb,1.5,0\n")
    assert (ids, [line for line, _ in rows]) == (["1", "b"], [2, 5])
    assert [(row.line, row.column, row.reason) for row in refused] == [
        (3, "i", "missing value"),
        (4, "i", "missing value"),
    ]


def test_a_refused_row_says_which_one_it_is() -> None:
    """By its id, where it has one."""
    _, _, refused = read("i,v,y\n1,0.5,1\n7.0,old,1\n8,0.5,maybe\n,0.5,1\n9,1,2,3\n10,2.5,0\n")
    assert [(row.line, row.id) for row in refused] == [(3, "7"), (4, "8"), (5, ""), (6, "")]


def test_ids_stay_with_their_rows_where_a_neighbour_is_half_a_row() -> None:
    """A good row beside the other half is refused, and named."""
    ids, rows, refused = read("v,i,y\n0.5,a,1\n12\n.5,b,1\n1.5,c,0\n")
    assert (ids, [line for line, _ in rows]) == (["a", "c"], [2, 5])
    assert [(row.line, row.id) for row in refused] == [(3, ""), (4, "b")]


def test_a_later_file_without_the_id_is_refused() -> None:
    """Its rows could not be told from others."""
    first = ingest(io.BytesIO(b"i,v,y\n1,0.5,1\n2,1.5,0\n"), "x.csv", a_spec(id="i"), None)
    list(first.parts)
    with pytest.raises(FileRefusedError, match="no column i, which names the rows"):
        read("v,y\n0.5,1\n", first.contract)


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "uuid", "guid", "key", "customer_id", "PassengerId", "userID", "row-id", "ID_code",
     "order key"],
)  # fmt: skip
def test_names_of_ids(name: str) -> None:
    """A word of the name says so, in any case."""
    assert looks_like_an_id(name)


@pytest.mark.parametrize(
    "name",
    ["humid", "paid", "bid", "grid", "valid", "PAID", "keyboard", "monkey", "idea", "identity",
     "video", "v", "", "idle_time"],
)  # fmt: skip
def test_names_that_only_end_or_begin_like_one(name: str) -> None:
    """They are features."""
    assert not looks_like_an_id(name)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.jsonl"])
@pytest.mark.parametrize("kind", ["texts", "integers"])
def test_a_column_whose_values_are_all_different_is_no_feature(kind: str, name: str) -> None:
    """In a thousand rows, whatever it is called; the file's reader is told."""
    place = pl.int_range(1_000, eager=True)
    values = place * 7 % 1_000 + 10_000
    column = values if kind == "integers" else pl.select("c" + values.cast(pl.String)).to_series()
    ingested = opened(table(1_000, code=column), name)
    assert ingested.contract.features == ("v",)
    assert ingested.contract.left_out == ("code",)
    assert ingested.remarks[0].startswith("column code is left out: it looks like the id")


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_column_of_fractions_is_never_taken_for_an_id(name: str) -> None:
    """Measured values are nearly always all different."""
    place = pl.int_range(2_000, eager=True)
    ingested = opened(table(2_000, code=place / 3, user_id=place * 1.0), name)
    assert ingested.contract.features == ("code", "user_id", "v")


@pytest.mark.parametrize(
    "form",
    [
        lambda row: f"{row:08x}",
        lambda row: f"{row:032x}",
        lambda row: f"{row * 2_654_435_761 % 2**32:08x}",
        lambda row: hashlib.sha256(bytes([row % 256, row // 256])).hexdigest()[:8],
        lambda row: hashlib.sha256(bytes([row % 256, row // 256])).hexdigest()[:40],
    ],
    ids=["counted", "counted, long", "mixed", "short hash", "long hash"],
)
@pytest.mark.parametrize("name", ["short", "uuid"])
def test_hexadecimal_names_of_rows_are_no_features(name: str, form: Callable[[int], str]) -> None:
    """Some of them have digits alone by chance, which makes none of them a number."""
    names = [form(row) for row in range(1_500)]
    assert opened(table(1_500, **{name: names})).contract.left_out == (name,)


def test_numbers_with_a_word_among_them_are_not_taken_for_an_id() -> None:
    """A measured column with a typo is read as one: the typo costs its row."""
    values = [str(place * 17) for place in range(1_500)]
    values[700] = "none yet"
    opened_file = opened(table(1_500, v2=values))
    assert opened_file.contract.left_out == ()


def test_fewer_rows_or_one_repeated_value_prove_nothing() -> None:
    """Of a column that is not called like an id."""
    place = pl.int_range(1_200, eager=True)
    assert opened(table(999, code=place.head(999))).contract.features == ("code", "v")
    repeated = table(
        1_200, code=pl.select(pl.when(place == 5).then(7).otherwise(place)).to_series()
    )
    assert opened(repeated).contract.features == ("code", "v")


def test_days_in_digits_are_not_taken_for_an_id() -> None:
    """A year of days and more, each in a row of its own, is a time."""
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2023, 1, 1), eager=True)
    digits = days.dt.strftime("%Y%m%d").cast(pl.Int64)
    assert opened(table(len(digits), day=digits)).contract.features == ("day", "v")


def test_a_column_called_like_an_id_is_one_where_few_values_come_again() -> None:
    """However few rows there are; where many do, it is a category like any other."""
    place = pl.int_range(40, eager=True)
    assert opened(table(40, loan_id=place.clip(2))).contract.features == ("v",)
    assert opened(table(40, store_id=place % 5)).contract.features == ("store_id", "v")


@pytest.mark.parametrize(
    "data",
    [
        {"features": ("*", "loan_id")},
        {"categorical": ("loan_id",)},
        {"slices": ({"name": "first", "column": "loan_id", "below": 20},)},
    ],
)
def test_a_spec_may_insist_by_name(data: dict[str, Any]) -> None:
    """A pattern that matches it is not enough."""
    place = pl.int_range(40, eager=True)
    ingested = opened(table(40, loan_id=place), **data)
    assert ingested.contract.features == ("loan_id", "v")
    assert ingested.contract.left_out == ()


def test_where_nothing_else_would_be_left_it_is_a_feature() -> None:
    """A file of one column of integers has something to say."""
    place = pl.int_range(1_000, eager=True)
    frame = pl.DataFrame({"code": place, "y": place % 2})
    assert opened(frame).contract.features == ("code",)


def test_what_was_left_out_is_no_new_column_of_a_later_file() -> None:
    """Nothing is told of it again, and it is not what another column was renamed to."""
    place = pl.int_range(40, eager=True)
    first = opened(table(40, loan_id=place, w=place / 3), missing=("w",))
    list(first.parts)
    later = io.BytesIO(b"loan_id,v,y\n900,0.5,1\n")
    ingested = ingest(later, "x.csv", a_spec(missing=("w",)), first.contract)
    assert (ingested.extra, ingested.absent) == ((), ("w",))


def test_a_feature_may_not_have_the_name_of_the_own_column() -> None:
    """Where rows have ids, the table keeps them under this name."""
    with pytest.raises(FileRefusedError, match="cannot hold feature columns named id"):
        opened(table(4, i=["a", "b", "c", "d"], id=[1.5, 2.5, 1.5, 3.5]), id="i")


@given(st.text("01.aeTRUEfals- \t\xa0é\u200b+7\n", max_size=6))
@example("-0.0")
@example("TRUE")
@example("\x1f1")
def test_an_id_is_read_as_a_category_is(text: str) -> None:
    """Though most are not looked at one by one."""
    value = None if text.strip(AROUND) in NO_VALUE else category_form(text)
    assert row_ids(pl.Series("i", [text, "a-1"])).to_list() == [value, "a-1"]
