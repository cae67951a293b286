"""The sentence that tells why rows were refused."""

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from include.records.data import Batch
from include.records.packing import pack
from include.records.refusal_reasons import MOST_KEPT, ReasonTally, RefusalReason, sentence

PRICE = RefusalReason("not a number", "price", 4871, 2, "$60,000.00")
AGE = RefusalReason("missing value", "age", 12, 40, ",1,2")
FIELDS = RefusalReason("wrong number of fields", "", 1, 7, "1,2")


@pytest.mark.parametrize(
    ("reasons", "others", "said"),
    [
        (
            [PRICE],
            0,
            (
                "4,871 rows: column price holds a text where a number belongs, first on line 2: "
                "$60,000.00"
            ),
        ),
        (
            [AGE, FIELDS],
            0,
            (
                "12 rows: column age is empty where a value belongs, first on line 40: ,1,2; 1 "
                "row: the row has more or fewer fields than there are columns, first on line 7: 1,2"
            ),
        ),
        ([FIELDS] * 3, 1, "; and 1 more reason"),
        ([FIELDS] * 5, 7, "; and 9 more reasons"),
        ([RefusalReason("of a new kind", "c", 1, 2, "")], 0, "1 row: column c: of a new kind, f"),
        ([RefusalReason("not JSON", "", 2, 3, "[]")], 0, "2 rows: not JSON, first on line 3: []"),
    ],
)
def test_a_reason_is_told_with_count_column_line_and_text(
    reasons: list[RefusalReason], others: int, said: str
) -> None:
    """The commonest three in words, the rest as a number."""
    assert said in sentence(reasons, others)


def test_reasons_are_counted_by_kind_and_column_with_the_first_of_each() -> None:
    """The commonest comes first."""
    tally = ReasonTally()
    for line, column in ((2, "b"), (3, "a"), (4, "a")):
        tally.add("not a number", column, line, f"x{line}")
    assert [(one.column, one.rows, one.line, one.text) for one in tally.reasons()] == [
        ("a", 2, 3, "x3"),
        ("b", 1, 2, "x2"),
    ]


def test_a_reason_is_short_and_shows_no_terminal_anything() -> None:
    """What stands in a file may be megabytes, or steer who reads it."""
    one = RefusalReason("not a number", "a\x1b[2J", 1, 2, "\n" + "x" * 10_000)
    assert len(one.sentence) < 300
    assert one.sentence.isprintable()
    assert one == replace(one)


def test_reasons_travel_between_tasks() -> None:
    """As JSON and back they are the same records."""
    batch = Batch("d", "a.csv", refused_for=(PRICE,) * MOST_KEPT, other_reasons=3)
    assert TypeAdapter(Batch).validate_python(json.loads(json.dumps(pack(batch)))) == batch
