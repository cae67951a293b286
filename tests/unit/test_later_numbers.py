"""How numbers of a first file are written is looked at behind its first rows, too."""

import io
import json
from collections.abc import Callable

import pytest

from include.spec.model_spec import Spec
from include.stages.ingest import DeliveryTally, ingest

ROWS = 400


def as_csv(ages: list[str]) -> bytes:
    """Return a delimited file."""
    rows = (f'"{age}","a, b",{n % 2}' for n, age in enumerate(ages))
    return "\n".join(["age,job,y", *rows]).encode()


def as_json(ages: list[str]) -> bytes:
    """Return JSON lines whose ages are texts."""
    rows = ({"age": age, "job": "a", "y": n % 2} for n, age in enumerate(ages))
    return "\n".join(json.dumps(row) for row in rows).encode()


def told_of(content: bytes, name: str) -> list[str]:
    """Return what is told of a first file that is read a kilobyte at a time."""
    fields = {"name": "s", "model": "m", "title": "", "data": {"target": "y"}}
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    spec = Spec.model_validate(fields | {"families": (family,)})
    ingested = ingest(io.BytesIO(content), name, spec, None, 1024)
    tally = DeliveryTally()
    for part in ingested.parts:
        tally.add(part, ingested.contract, is_first=True)
    assert tally.parts > 2
    assert tally.counts.total() == 0
    return [*ingested.remarks, *tally.remarks]


@pytest.mark.parametrize("file", [(as_csv, "x.csv"), (as_json, "x.jsonl")], ids=["csv", "json"])
@pytest.mark.parametrize("gap", ["", "40"], ids=["with a gap", "without"])
@pytest.mark.parametrize(
    ("early", "late", "sentence"),
    [
        ("98765", "01234", "column age: 01234 is read as the number 1234; "),
        ("999", "1.234", "column age: 1.234 is read as the number 1.234; if its point separates"),
        ("01234", "01235", "column age: 01234 is read as the number 1234; "),
    ],
)
def test_a_number_that_may_be_something_else_is_told_once(
    early: str, late: str, sentence: str, gap: str, file: tuple[Callable[[list[str]], bytes], str]
) -> None:
    """A name with zeros before it, or an amount whose point separates thousands."""
    ages = [early] * ROWS
    ages[1], ages[-150], ages[-1] = gap, late, late
    write, name = file
    (told,) = told_of(write(ages), name)
    assert told.startswith(sentence)


@pytest.mark.parametrize(
    ("early", "late"), [("999", "1.5"), ("5000", "1.234"), ("98765", "1234"), ("1.5", "1.234")]
)
def test_what_can_mean_nothing_else_is_told_of_nobody(early: str, late: str) -> None:
    """A fraction among small numbers, a point beside larger ones, a shorter number."""
    assert told_of(as_csv([early] * (ROWS - 1) + [late]), "x.csv") == []
