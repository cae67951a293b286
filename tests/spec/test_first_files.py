"""Some ninety first files: how each is read, what is declared for it, or why it is refused."""

import io
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from include.errors import BadRowsError, FileRefusedError
from include.spec.contract import Contract
from include.spec.model_spec import Spec
from include.stages.ingest import (
    ColumnSummary,
    DeliveryTally,
    LabelTally,
    empty_columns,
    ingest,
    labels_sentence,
    marked_gaps,
    merging_values,
    require_decodable,
    require_few_words,
    require_one_notation,
    summary_of,
    with_ranges_seen,
)


def a_spec(**data: Any) -> Spec:
    """Return a spec with these fields of its data part."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    return Spec.model_validate(fields | {"data": {"target": "y"} | data})


def column(*cells: str, name: str = "v") -> str:
    """Return a file with one feature of these cells, which come twenty times over."""
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    rows = "".join(f"{cell},{place % 2}\n" for place, cell in enumerate(quoted * 20))
    return f"{name},y\n{rows}"


def read(
    text: str, name: str = "x.csv", **data: Any
) -> tuple[Contract, list[Any], list[str], list[Any]]:
    """Return the contract of a first file, its first feature's values, remarks and bad rows."""
    ingested = ingest(io.BytesIO(text.encode()), name, a_spec(**data), None)
    parts = list(ingested.parts)
    found: ColumnSummary = summary_of(parts[0].frame, ingested.contract)
    values = [value for part in parts for value in part.frame.to_series(1)]
    refused = [row for part in parts for row in part.refused]
    tally = DeliveryTally()
    for part in parts:
        tally.add(part, ingested.contract, is_first=True)
    remarks = [*ingested.remarks, *tally.remarks, *marked_gaps(tally), *merging_values(found)]
    return with_ranges_seen(ingested.contract, found), values, remarks, refused


@pytest.mark.parametrize(
    ("cells", "notation", "values"),
    [
        (("1.5", "-2"), {}, [1.5, -2]),
        (("1e3", "+2"), {}, [1000, 2]),
        (("1,5", "-2,25"), {"decimal": ",", "thousands": "."}, [1.5, -2.25]),
        (("1.234,5", "2,5"), {"decimal": ",", "thousands": "."}, [1234.5, 2.5]),
        (("1,234.50", "999.5"), {"thousands": ","}, [1234.5, 999.5]),
        (("1,234,567", "12"), {"thousands": ","}, [1234567, 12]),
        (("1 234,5", "7,5"), {"decimal": ",", "thousands": " "}, [1234.5, 7.5]),
        (("1'234.5", "7.5"), {"thousands": "'"}, [1234.5, 7.5]),
        (("1.234.567", "12"), {"decimal": ",", "thousands": "."}, [1234567, 12]),
        (("$60,000.00", "$5.25"), {"thousands": ",", "currency": "$"}, [60000, 5.25]),
        (("5,25 €", "12,00 €"), {"decimal": ",", "thousands": ".", "currency": "€"}, [5.25, 12]),
        (("EUR 5.25", "EUR 12"), {"currency": "EUR"}, [5.25, 12]),
        (("12.5%", "7 %"), {"percent": True}, [12.5, 7]),
        (("(12.5)", "7"), {"parentheses": True}, [-12.5, 7]),
        (
            ("($1,200.00)", "$7.00"),
            {"thousands": ",", "currency": "$", "parentheses": True},
            [-1200, 7],
        ),
        (("2007-01-26", "1969-12-31"), {"date": "%Y-%m-%d"}, [13539, -1]),
        (("2007-01-26T12:00:00Z", "2007-01-26"), {"date": "%Y-%m-%d"}, [13539.5, 13539]),
        (("26-Jan-07", "1-Feb-07"), {"date": "%d-%b-%y"}, [13539, 13545]),
        (("26.01.2007", "1.2.2007"), {"date": "%d.%m.%Y"}, [13539, 13545]),
        (("26/01/2007", "01/02/2007"), {"date": "%d/%m/%Y"}, [13539, 13545]),
        (("01/26/2007", "02/01/2007"), {"date": "%m/%d/%Y"}, [13539, 13545]),
        (("Jan 26, 2007", "February 1, 2007"), {"date": "%b %d, %Y"}, [13539, 13545]),
        (("True", "False"), {"boolean": True}, [1, 0]),
        (("TRUE", "false"), {"boolean": True}, [1, 0]),
        (("TRUE", "1", "no"), {"boolean": True}, [1, 1, 0]),
        (("1", "0", "yes"), {"boolean": True}, [1, 0, 1]),
        (("yes", "no", "y"), {"boolean": True}, [1, 0, 1]),
        (("true", "NA", "false"), {"boolean": True}, [1, None, 0]),
        (("2007-01", "2007-02"), {"date": "%Y-%m"}, [13514, 13545]),
        (("Jan-07", "Feb-07"), {"date": "%b-%y"}, [13514, 13545]),
        (
            ("1.234,56\u00a0\u20ac", "-12,00\u00a0\u20ac"),
            {"decimal": ",", "thousands": ".", "currency": "\u20ac"},
            [1234.56, -12],
        ),
        (("CHF 1\u2019234.50", "CHF 12.00"), {"thousands": "'", "currency": "CHF"}, [1234.5, 12]),
        (("-$5.00", "$6.00"), {"currency": "$"}, [-5, 6]),
        (
            ("\u20b91,23,456.00", "\u20b92,000.00"),
            {"thousands": ",", "currency": "\u20b9"},
            [123_456, 2000],
        ),
        (("1,00,000", "2,500"), {"thousands": ","}, [100_000, 2500]),
        (("CA$5.00", "CA$6.50"), {"currency": "CA$"}, [5, 6.5]),
        (("\u20bf0.5", "\u20bf1.2"), {"currency": "\u20bf"}, [0.5, 1.2]),
        (("1200\u5186", "900\u5186"), {"currency": "\u5186"}, [1200, 900]),
        (("%12", "% 5"), {"percent": True}, [12, 5]),
        (("12.5\u2009%", "7\u00a0%"), {"percent": True}, [12.5, 7]),
        (("1_000", "2_000.5"), {"thousands": "_"}, [1000, 2000.5]),
        (("\u22125.5", "7"), {}, [-5.5, 7]),
        (("\u20135", "7"), {}, [-5, 7]),
        (("-\u00a05", "\uff0d7"), {}, [-5, -7]),
        (
            ("2024-01-26T12:00:00+02:00", "2024-01-27"),
            {"date": "%Y-%m-%d"},
            [19748 + 10 / 24, 19749],
        ),
    ],
)
def test_a_notation_is_recognised_declared_and_told(
    cells: tuple[str, ...], notation: Mapping[str, Any], values: list[float]
) -> None:
    """The contract has it, the numbers are those that were meant, and a sentence says so."""
    contract, found, remarks, refused = read(column(*cells))
    (only,) = contract.columns
    assert (only.kind, only.notation.told) == ("number", notation)
    assert found[: len(cells)] == pytest.approx(values)
    assert not refused
    assert [("column v is read as" in one) for one in remarks] == [True] * bool(notation)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (("1,753", "2,001"), r"column v .*'1,753' in line 2, .*decimal = \",\".*thousands = \",\""),
        (("5*", "6"), r"column v .*in more than one notation, such as '6' .* and '5\*' in line 2"),
        (("\u00bd", "1"), r"column v .*in more than one notation, such as '1' .* and '\u00bd'"),
        (("\uff11\uff12.5", "13"), r"column v .*more than one notation, .*'\uff11\uff12.5'"),
        (("330877", "349909", "A/5 21171"), r"column v .*and 'A/5 21171' in line 4.*`categorical`"),
        (("5", "2007-01-26"), r"column v .*in more than one notation, .*'2007-01-26'"),
        (
            ("2007-01-26", "2007-01-27", "39108"),
            r"column v holds dates in more .*'2007-01-26' .* and '39108'",
        ),
        (("\u200b0.5", "\u200b1.5"), r"column v .*in line 2, .*like numbers"),
        (("0.5\u200e", "1.5\u200e"), r"column v .*in line 2, .*like numbers"),
        (("\u20b91.5 lakh", "\u20b92 crore"), r"column v .* in line 2, .*like numbers"),
        (("PT1H30M", "P1DT2H"), r"column v .*'PT1H30M' .*like times of day"),
        (("1h30m", "2h 15m"), r"column v .*'1h30m' .*like times of day"),
        (("12:30+02:00", "13:45Z"), r"column v .*'12:30\+02:00' .*like times of day"),
        (("12:30:00 UTC", "13:30:00 UTC"), r"column v .*'12:30:00 UTC' .*like times of day"),
        (("01/02/2007", "03/04/2007"), r"column v .*'01/02/2007' in line 2.*%d/%m/%Y.*%m/%d/%Y"),
        (("1.234,5", "1,234.5"), r"column v .*in more than one notation, such as '1,234.5'"),
        (("$5.10", "€5.10"), r"column v .*in more than one notation, such as '\$5.10'"),
        (("26-Mai-07", "27-Mai-07"), r"column v .*'26-Mai-07' in line 2, .*like dates"),
        (("1 23 45", "1 23 46"), r"column v .*'1 23 45' in line 2, .*like numbers.*`categorical`"),
        (("\u00a51,200", "\u00a5900"), r"column v .*'\u00a51,200' in line 2, .*more than one way"),
        (("(1,234)", "(12)"), r"column v .*'\(1,234\)' in line 2, .*more than one way"),
        (("5.00-", "6.00"), r"column v .*in more than one notation, such as .* and '5.00-'"),
        (("0", "1", "2", "3+"), r"column v .*as '0' in line 2 and '3\+' in line 5.*categorical`"),
        (("12", "50", "> 100"), r"column v .*such as '12' in line 2 and '> 100' in line 4"),
        (("<0.1", "0.3", "<0.1"), r"column v .*'<0.1' in line 2, .*like numbers.*`categorical`"),
        (("\u22645", "4"), r"column v .*in more than one notation, such as '4' .* and '\u22645'"),
        (("5.00CR", "4.00DR"), r"column v .*'5.00CR' in line 2, .*like numbers"),
        (("26/01/2007", "01/26/2007"), r"column v holds dates in .*'26/01/2007' .*'01/26/2007'"),
        (("12 kg", "13.5 kg"), r"column v .*'12 kg' in line 2, .*like numbers.*`categorical`"),
        (("1.5K", "2M"), r"column v .*'1.5K' in line 2, .*like numbers"),
        (("'12.5", "'13.5"), r"column v .*''12.5' in line 2, .*like numbers"),
        (("\uff11\uff12", "\uff11\uff13"), r"column v .*'\uff11\uff12' in line 2, .*like numbers"),
        (("20240126T120000Z", "20240127T120000Z"), r"column v .*'20240126T120000Z' .*like dates"),
        (("Fri, 26 Jan 2007", "Sat, 27 Jan 2007"), r"column v .*'Fri, 26 Jan 2007' .*like dates"),
        (("26 janvier 2007", "27 mars 2007"), r"column v .*'26 janvier 2007' .*like dates"),
        (("2007\u5e741\u670826\u65e5",), r"column v .*'2007\u5e741\u670826\u65e5' .*like dates"),
        (
            ("12:30", "13:45:10"),
            r"column v .*'12:30' .*like times of day.*`categorical`",
        ),
    ],
)
def test_a_notation_that_cannot_be_told_refuses_the_file(
    cells: tuple[str, ...], reason: str
) -> None:
    """With column, line and text, and the line of the spec that would declare it."""
    with pytest.raises(FileRefusedError, match=reason):
        read(column(*cells))


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (("red", " red ", "blue"), ("blue", "red")),
        (("18-25", "26-35"), ("18-25", "26-35")),
        (("<18", "18-25", ">65"), ("18-25", "<18", ">65")),
        (("0", "1-2", "3+"), ("0", "1-2", "3+")),
        (("<=50K", ">50K"), ("<=50K", ">50K")),
        (("1st", "2nd"), ("1st", "2nd")),
        (("A1", "B2"), ("A1", "B2")),
        (("cafe\u0301", "caf\u00e9"), ("caf\u00e9",)),
        (("Y", "N"), ("N", "Y")),
        (("ja", "nein"), ("ja", "nein")),
        (("true", "false", "unknown"), ("false", "true", "unknown")),
        (("3:1", "1/2", "0x1F"), ("0x1F", "1/2", "3:1")),
        (("Q1", "Q2", "Q3"), ("Q1", "Q2", "Q3")),
        (("type 1", "type 2"), ("type 1", "type 2")),
        (("A-1", "A-2"), ("A-1", "A-2")),
        (("red", "\u00a0red", "red\u202f"), ("red",)),
    ],
)
def test_texts_are_categories_in_their_one_form(
    cells: tuple[str, ...], categories: tuple[str, ...]
) -> None:
    """Without spaces around them and composed; what is like no number is none."""
    contract, _, remarks, _ = read(column(*cells))
    (only,) = contract.columns
    assert (only.kind, only.categories, remarks) == ("category", categories, [])


@pytest.mark.parametrize(
    ("cells", "remark"),
    [
        (("red", "NA", "?"), "column v: ?, NA are categories like any other; .* leave .* empty"),
        (("1.5", "?", "2", " - "), "column v: ?, - among its numbers count as missing; where"),
        (("5.25", "-"), "column v: - among its numbers counts as missing; .* zero, write it"),
        (("1.5", "n/a"), "column v: n/a among its numbers counts as missing"),
        (("12h", "3h"), "column v: texts such as 12h are categories, .* number with h behind"),
        (("36 Months", "60 months"), "column v: texts such as 36 Months .* with Months behind it"),
        (("1.000", "999"), 'column v: 1.000 is read as the number 1; .*thousands = "."'),
        (("Red", "red", "RED"), 'column v: "RED" and "Red" are two categories'),
        (("red", "re\u200bd"), r'column v: "red" and "re\\u200bd" are two categories'),
        (("New York", "New\u00a0York"), r'column v: "New York" and "New\\u00a0York" are two'),
        (("~5", "~6.5"), "column v: texts such as ~5 are categories, .* number with ~ before it"),
        (("ca. 5", "ca. 6"), "column v: texts such as ca. 5 are categories, .* with ca. before"),
        (("'red'", "'blue'"), "column v: the quotes around texts such as 'red' are part of them"),
        (("\u201cred\u201d", "\u201cb\u201d"), "column v: the quotes around texts such as"),
        (("01234", "98765"), "column v: 01234 is read as the number 1234; .*`categorical`"),
        (("20240126", "20240127"), 'column v: 20240126 .* looks like a date; .*date = "%Y%m%d"'),
        (
            ("9007199254740992", "9007199254740994"),
            "column v: 9007199254740992 and 9007199254740994",
        ),
        (("9007199254740993", "9007199254740992"), "column v: whole numbers next to 9.*are one"),
        (("1706270400000", "1706270401000"), "column v: 1706270400000 and 1706270401000 are the"),
    ],
)
def test_what_may_be_meant_otherwise_is_read_and_told(cells: tuple[str, ...], remark: str) -> None:
    """Where a file would be refused for nothing, a sentence says what was made of it."""
    contract, _, remarks, refused = read(column(*cells))
    assert not refused
    assert re.match(remark.replace("?,", r"\?,"), remarks[0])
    assert len(remarks) == 1, contract


def test_numbers_that_a_file_has_as_texts_are_categories_and_told() -> None:
    """Its own type stands; the line that the sentence shows makes them numbers."""
    buffer = io.BytesIO()
    pl.DataFrame({"v": ["1.5", "2"] * 5, "y": [0, 1] * 5}).write_parquet(buffer)
    stated: dict[str, Any] = {"notation": {"v": {}}}
    for data, kind, sentences in (({}, "category", 1), (stated, "number", 0)):
        ingested = ingest(buffer, "x.parquet", a_spec(**data), None)
        assert [one.kind for one in ingested.contract.columns] == [kind]
        assert ["the file has them as texts" in one for one in ingested.remarks] == [
            True
        ] * sentences


def test_a_typed_column_is_of_its_type_though_it_is_empty() -> None:
    """Texts, truths or days may come there later, and no numbers."""
    types = {"v": pl.String, "w": pl.Boolean, "x": pl.Date, "y": pl.Int8}
    rows = {"v": [None] * 30, "w": [None] * 30, "x": [None] * 30, "y": [0, 1] * 15}
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema=types).write_parquet(buffer)
    contract = ingest(buffer, "x.parquet", a_spec(), None).contract
    assert [(one.kind, one.notation.told) for one in contract.columns] == [
        ("category", {}),
        ("number", {"boolean": True}),
        ("number", {"date": "%Y-%m-%d"}),
    ]


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_numbers_that_are_categories_are_the_same_in_every_precision(dtype: Any) -> None:
    """0.1 is the category 0.1, as a text file or a caller would write it."""
    buffer = io.BytesIO()
    frame = pl.DataFrame({"v": [0.1, 2.0, None] * 4, "y": [0, 1, 0] * 4})
    frame.with_columns(pl.col("v").cast(dtype)).write_parquet(buffer)
    ingested = ingest(buffer, "x.parquet", a_spec(categorical=["v"]), None)
    (part,) = ingested.parts
    assert part.frame["v"].to_list()[:3] == ["0.1", "2", None]


@pytest.mark.parametrize("words", [("T", "F"), ("Y", "N"), ("Yes", "No"), ("t", "f")])
def test_truths_of_a_later_file_are_the_words_that_a_first_one_had(words: tuple[str, str]) -> None:
    """A program that has truths sends them as such."""
    contract, *_ = read(column(*words))
    buffer = io.BytesIO()
    pl.DataFrame({"v": [True, False] * 5, "y": [0, 1] * 5}).write_parquet(buffer)
    (part,) = ingest(buffer, "x.parquet", a_spec(), contract).parts
    assert part.frame["v"].to_list()[:2] == [*words]


def test_a_column_that_counts_the_rows_is_told() -> None:
    """Whatever a program called it: index, level_0, id."""
    text = "index,v,y\n" + "".join(f"{row},1.5,{row % 2}\n" for row in range(30))
    _, _, remarks, _ = read(text)
    assert ["column index counts the rows (0, 1, 2 and so on)" in one for one in remarks] == [True]


def test_nested_objects_are_refused_for_what_they_are() -> None:
    """Not for being no objects."""
    with pytest.raises(FileRefusedError, match="holds another one or a list"):
        read('{"v": {"a": 1}, "y": 1}\n{"v": {"a": 2}, "y": 0}\n', "x.jsonl")


@pytest.mark.parametrize("inner", ['{"a": 1}', "[]", '[{"a": 1}]'])
def test_a_nested_value_costs_its_row_only_where_its_column_is_read(inner: str) -> None:
    """A column that the spec leaves out may hold anything, as one of Parquet may."""
    line = '{{"v": {v}, "tags": {tags}, "y": {y}}}\n'
    text = "".join(
        line.format(v=row / 2, tags=inner if row == 7 else 1, y=row % 2) for row in range(30)
    )
    _, values, _, refused = read(text, "x.jsonl", exclude=["tags"])
    assert (len(values), refused) == (30, [])
    _, values, _, (row,) = read(text, "x.jsonl")
    assert len(values) == 29
    assert (row.line, row.column, row.reason) == (8, "tags", "a nested value")
    text = text.replace('"tags": 1', f'"tags": {inner}')
    assert len(read(text, "x.jsonl", exclude=["tags"])[1]) == 30
    with pytest.raises(FileRefusedError, match=r"another one or a list in tags: .*`exclude`"):
        read(text, "x.jsonl")


def test_an_object_with_two_values_for_one_key_is_a_bad_row() -> None:
    """Which of them was meant nobody can tell."""
    rows = [f'{{"v": {row / 2}, "y": {row % 2}}}' for row in range(30)]
    rows[3] = '{"v": 1, "v": 2, "y": 1}'
    _, values, _, (row,) = read("\n".join(rows), "x.jsonl")
    assert (len(values), row.line, row.reason) == (29, 4, "two keys of one name")
    with pytest.raises(FileRefusedError, match=r"every object .* has two keys of one name"):
        read("\n".join([rows[3]] * 9), "x.jsonl")


def test_days_of_eight_digits_are_read_where_the_spec_says_so() -> None:
    """The line that the sentence shows does it."""
    contract, values, remarks, _ = read(
        column("20240126", "20240127"), notation={"v": {"date": "%Y%m%d"}}
    )
    assert contract.columns[0].notation.told == {"date": "%Y%m%d"}
    assert (values[:2], remarks) == ([19748, 19749], [])


def test_whole_numbers_are_categories_where_the_spec_says_so() -> None:
    """1 and 1.0 are one; 007, 1.10 and 1e3 stay as they are written."""
    cells = ("1", "1.0", "007", "1.10", "1e3")
    contract, *_ = read(column(*cells), categorical=["v"])
    assert contract.columns[0].categories == ("007", "1", "1.10", "1e3")


def test_a_gap_in_the_first_file_is_allowed_from_then_on() -> None:
    """As its kinds, unless the spec forbids it; then its rows are refused."""
    text = column("1.5", "", "NA")
    contract, _, _, refused = read(text)
    assert contract.columns[0].missing
    assert not refused
    contract, _, _, refused = read(text, required=["v"])
    assert not contract.columns[0].missing
    assert {row.reason for row in refused} == {"missing value"}


def test_a_mark_among_amounts_is_missing_and_told() -> None:
    """A dash may be a zero to an accountant: the sentence says what was made of it."""
    contract, values, remarks, refused = read(column("$5.25", "-"))
    assert (contract.columns[0].missing, values[:2], refused) == (True, [5.25, None], [])
    assert "column v: - among its numbers counts as missing" in remarks[1]


def test_a_mark_far_behind_the_start_of_a_file_is_told() -> None:
    """Wherever a mark stands first, and whatever its column held until then."""
    rows = "1.25,$2.50,3.5,0\n" * 300_000
    text = f"v,price,w,y\n{rows}?,$2.50,,1\n1.5,n/a,,0\n1.5, - ,7,0\n"
    contract, _, remarks, refused = read(text)
    assert ([one.missing for one in contract.columns], refused) == ([True, True, True], [])
    assert [one.split(" among")[0] for one in remarks[1:]] == [
        "column v: ?",
        "column price: n/a, -",
    ]


@pytest.mark.parametrize(
    ("cells", "words", "reason"),
    [
        (["1", "2", "3"], ["many", "none of"], "column v holds numbers, and other texts in 40 of"),
        (["2024-01-26", ""], ["unknown"], "column v holds dates, and other texts in 20 of 60 rows"),
        (["2024-01-26"] * 4, ["0000-00-00"], "column v holds dates, and other texts in 20 of 100"),
    ],
)
def test_words_among_numbers_cost_their_rows_while_they_are_few(
    cells: list[str], words: list[str], reason: str
) -> None:
    """Many may be categories, which would be lost with all their rows, wherever they come."""

    def tallied(text: str, **data: Any) -> DeliveryTally:
        tally, ingested = (
            DeliveryTally(),
            ingest(io.BytesIO(text.encode()), "x.csv", a_spec(), None),
        )
        for part in ingested.parts:
            tally.add(part, ingested.contract, is_first=True)
        require_few_words(tally, a_spec(**data).data)
        return tally

    with pytest.raises(BadRowsError, match=f"{reason}.*`categorical`.*leave the field empty"):
        tallied(column(*cells, *words))
    assert tallied(column(*cells * 10, *words[:1])).counts.total() == 20
    stated = {"notation": {"v": {"date": "%Y-%m-%d"}}}
    assert tallied(column(*cells, *words), **stated).counts.total() == 20 * len(words)


def test_a_share_among_percents_is_told() -> None:
    """A value of 0.1 beside 10% may be a tenth or a thousandth; a zero is the same either way."""
    _, values, remarks, refused = read(column("10%", "0.1"))
    assert (values[:2], refused) == ([10, 0.1], [])
    assert remarks[1].startswith("column v: 0.1, which has no sign of per cent, is read as 0.1 %")
    assert len(read(column("10%", "0"))[2]) == 1
    assert read(column("10%", "0.1"), notation={"v": {"percent": True}})[2] == []


def test_a_column_without_a_name_that_is_no_index_is_told_as_what_it_is() -> None:
    """Its values may be meant, unlike the row numbers that a program wrote first."""
    text = "a,,y,\n" + "".join(f"{row}.5,red,{row % 2},\n" for row in range(30))
    with pytest.raises(FileRefusedError, match="more than one column without a name"):
        read(text)
    for header in ("a,,y\n", "a,Unnamed: 1,y\n"):
        contract, _, remarks, _ = read(
            header + "".join(f"{row}.5,red,{row % 2}\n" for row in range(30))
        )
        assert contract.features == ("a",)
        assert remarks[0].startswith("left out, as the header has no name for it: column 2 of")


def test_a_stated_notation_is_read_though_it_could_be_another() -> None:
    """The spec's word stands above the file's."""
    contract, values, *_ = read(column("1,753"), notation={"v": {"thousands": ","}})
    assert contract.columns[0].notation.told == {"thousands": ","}
    assert values[0] == 1753


def test_a_key_that_comes_late_in_json_lines_is_a_feature() -> None:
    """Of the kind that it has there; the objects without it lack the value."""
    text = '{"b": 1.5, "y": 0}\n' * 30_000 + '{"b": 2, "colour": "red", "y": 1}\n' * 100
    contract, _, _, refused = read(text, "x.jsonl")
    assert [(one.name, one.kind, one.missing) for one in contract.columns] == [
        ("b", "number", False),
        ("colour", "category", True),
    ]
    assert not refused


def test_a_column_that_is_empty_at_first_is_what_it_holds_later() -> None:
    """Not a number for want of anything else."""
    text = "v,w,y\n" + "1.25,,0\n" * 700_000 + "1.25,red,1\n" * 10
    contract, *_ = read(text)
    assert [one.kind for one in contract.columns] == ["number", "category"]


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "__index_level_0__"])
def test_an_index_that_a_program_wrote_is_no_feature(index: str) -> None:
    """It is left out and told, unless the spec names it."""
    text = f"{index},v,y\n0,1.5,1\n1,2.5,0\n"
    contract, _, remarks, _ = read(text)
    assert contract.features == ("v",)
    assert "left out as an index" in remarks[0]
    if index:
        contract, *_ = read(text, features=[index, "v"])
        assert contract.features == (index, "v")


def test_numbers_that_a_model_cannot_tell_apart_are_told() -> None:
    """Names of things above 2^24, seconds since 1970."""
    _, _, remarks, _ = read(column("16777216", "16777217"))
    assert "16777216 and 16777217 are the same to a model" in remarks[0]


@pytest.mark.parametrize(
    "data",
    [
        {"missing": ["temp [C]"]},
        {"categorical": ["temp [C]"]},
        {"features": ["temp [C]"]},
        {"required": ["temp [C]"]},
        {"ranges": {"temp [C]": (0, 100)}},
    ],
)
def test_a_pattern_that_is_a_columns_own_name_is_that_column(data: dict[str, Any]) -> None:
    """Brackets and all."""
    contract, *_ = read(column("1.5", "2", name="temp [C]"), **data)
    assert contract.features == ("temp [C]",)


@pytest.mark.parametrize("field", ["exclude", "missing", "categorical", "features", "required"])
def test_a_name_in_the_spec_that_no_column_has_refuses_the_first_file(field: str) -> None:
    """A misspelt one in `exclude` would keep a leak; the nearest name is suggested."""
    data: dict[str, Any] = {field: ["colur"]}
    with pytest.raises(FileRefusedError, match=f"`{field}` .* names colur.*did you mean colour"):
        read(column("red", name="colour"), **data)


def test_all_wrong_names_of_a_spec_are_told_together() -> None:
    """Each would cost its writer a run."""
    with pytest.raises(FileRefusedError, match=r"`exclude` .*colour\?; `missing` .* names shape"):
        read(column("red", name="colour"), exclude=["colur"], missing=["shape"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('1,5" pipe,0', "a quote inside a field, or text behind a closing quote"),
        ('1,"red"x,0', "a quote inside a field, or text behind a closing quote"),
        ("v,w,y", "the header line again"),
    ],
)
def test_a_row_that_was_damaged_on_its_way_is_no_data(row: str, reason: str) -> None:
    """It is a bad row; its neighbours are good."""
    text = f'v,w,y\n1,"a ""b""",0\n{row}\n2,c,1\n'
    _, _, _, refused = read(text)
    assert [(one.line, one.reason) for one in refused] == [(3, reason)]


def test_the_header_again_is_found_among_categories_only() -> None:
    """Where it looks like any other row."""
    _, values, _, refused = read("v,y\nred,1\nv,y\nblue,0\n")
    assert values == ["red", "blue"]
    assert [one.reason for one in refused] == ["the header line again"]


def test_many_numbers_in_another_notation_refuse_a_later_file() -> None:
    """Those who are left would be a biased sample: of amounts the small ones."""
    contract, *_ = read(column("1.5", "250"))
    text = column("1,250.00", "12.5", "17.5")
    (part,) = ingest(io.BytesIO(text.encode()), "x.csv", a_spec(), contract).parts
    counts = Counter(row.reason for row in part.refused)
    assert counts == {"a number in another notation": 20}
    assert part.refused[0].cell == "1,250.00"
    with pytest.raises(BadRowsError, match=r"20 of 60 lines have a number in another notation"):
        require_one_notation(counts, part.lines)
    require_one_notation({"a number in another notation": 1}, 60)


def test_many_dates_in_another_notation_refuse_a_later_file() -> None:
    """Those who are left would be the rows without a date."""
    contract, *_ = read(column("2007-01-26", ""))
    text = column("26.01.2007", "", "0000-00-00")
    (part,) = ingest(io.BytesIO(text.encode()), "x.csv", a_spec(), contract).parts
    counts = Counter(row.reason for row in part.refused)
    assert counts == {"a date in another notation": 20, "not a date": 20}
    with pytest.raises(BadRowsError, match=r"20 of 60 lines have a date in another notation"):
        require_one_notation(counts, part.lines)


def test_many_rows_in_another_encoding_refuse_a_file() -> None:
    """Those who are left would be the rows without an accent."""
    text = column("caf\u00e9", "tea", "milk").encode("windows-1252")
    (part,) = ingest(io.BytesIO(text), "x.csv", a_spec(), None).parts
    counts = Counter(row.reason for row in part.refused)
    assert counts == {"bytes that are not UTF-8": 20}
    with pytest.raises(BadRowsError, match=r'20 of 60 lines .*encoding = "windows-1252"'):
        require_decodable(counts, part.lines)
    require_decodable({"bytes that are not UTF-8": 2}, 60)


def test_a_first_file_with_an_empty_column_tells_what_that_fixes() -> None:
    """Its kind is fixed like any other, though nothing shows it."""
    ingested = ingest(io.BytesIO(("v,w,y\n" + ",1.5,0\n" * 30).encode()), "x.csv", a_spec(), None)
    tally = DeliveryTally()
    for part in ingested.parts:
        tally.add(part, ingested.contract, is_first=True)
    (sentence,) = empty_columns(tally, ingested.contract, (), is_first=True)
    assert re.match(r"column v has no value .* Numbers alone .*`categorical`", sentence)
    (sentence,) = empty_columns(tally, ingested.contract, ())
    assert sentence.endswith("Ask the sender")


@pytest.mark.parametrize(
    ("labels", "cells"),
    [
        ({"positive": True, "negative": False}, ("TRUE", "no")),
        ({"positive": "True", "negative": "False"}, ("true", "FALSE")),
        ({"positive": 1, "negative": 0}, ("1.0", "0")),
        ({"positive": "a", "negative": ["b", "c"]}, ("a", "c")),
        ({"positive": "a", "negative": "*"}, (" a", "anything")),
    ],
)
def test_labels_are_known_in_any_of_their_spellings(
    labels: dict[str, Any], cells: tuple[str, str]
) -> None:
    """A truth in any case, a number with a fraction of zero, a text in its one form."""
    text = f"v,y\n1,{cells[0]}\n2,{cells[1]}\n"
    (part,) = ingest(io.BytesIO(text.encode()), "x.csv", a_spec(**labels), None).parts
    assert part.frame["label"].to_list() == [1, 0]


@pytest.mark.parametrize(
    ("positive", "cells"),
    [
        (">50K", (" >50K.", ">50k")),
        ("Yes", ("yes", "YES ", "Y", "true", "1")),
        (True, ("1", "1.0")),
        (1, ("yes", "?", "n/a")),
        ("no", ("No", "0", "false")),
    ],
)
def test_what_may_be_the_positive_label_is_no_other_one(
    positive: Any, cells: tuple[str, ...]
) -> None:
    """With `negative = "*"` a second spelling, or no value, would be learned as its opposite."""
    own, others = str(positive), ("other", "-", ">5K", "x")
    text = "v,y\n" + "".join(f"1,{cell}\n" for cell in (own, *cells, *others))
    spec = a_spec(positive=positive, negative="*")
    (part,) = ingest(io.BytesIO(text.encode()), "x.csv", spec, None).parts
    assert [row.cell for row in part.refused] == list(cells)
    assert part.frame["label"].to_list() == [1, *(0 for _ in others)]
    tally = LabelTally()
    tally.add(part.frame, part.refused)
    sentence = labels_sentence(tally, spec.data, is_first=True)
    assert re.match(r"The target y holds .*: that may mean .* or list the negative ones", sentence)


def test_classes_of_one_letter_are_no_spellings_of_one_another() -> None:
    """T and Y may both stand for true, and are two classes all the same."""
    text = "v,y\n1,Y\n2,T\n3,N\n"
    spec = a_spec(positive="Y", negative="*")
    (part,) = ingest(io.BytesIO(text.encode()), "x.csv", spec, None).parts
    assert part.frame["label"].to_list() == [1, 0, 0]
