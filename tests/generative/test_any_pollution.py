"""A text that was damaged on its way lets no wrong row in, wherever and however it was damaged."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from include.errors import FileRefusedError
from include.spec.contract import Contract
from include.spec.model_spec import Spec
from include.stages.ingest import ingest, summary_of, with_ranges_seen
from tests.suite_profile import PROFILE

END = "\n"
STEPS = {"lost separator": 5, "a stray quote": 11}
OTHER_STEP = 37
"""Of the damages of a kind one in so many is tried, unless `make test-fuzz` asks for all."""
Quoting = Literal[0, 1]
Cells = tuple[Any, ...]
# Texts with separators, doubled quotes and line ends of their own, gaps, and texts at both ends of
# the rows: with the label last, a shifted field would meet it and be refused by accident.
HEADER = ("note", "price", "y", "kind", "count", "size")
ROWS: list[tuple[str, ...]] = [
    ("plain words", "12.5", "1", "red", "3", "small"),
    ("with, a separator", "7", "0", "blue, dark", "40", "large"),
    ('a 5" pipe', "", "1", "red", "5", 'the "best", surely'),
    ("two\nlines, and more", "1.25", "0", "", "60", "one\ntwo"),
    ("", "3.5", "1", "green", "", "small"),
    ("plain words", "99", "0", "blue, dark", "8", ""),
    ("7, 8", "15", "1", "1", "9", "2,5"),
    ("caf\u00e9", "16.5", "0", "red", "10", "small"),
]
OTHER_ROWS: list[tuple[str, ...]] = [
    ("some words", "1", "1", "green", "2", "tiny"),
    ("", "", "0", "", "", ""),
]
BEFORE: dict[str, list[tuple[str, ...]]] = {
    "nothing": [],
    "the same rows": ROWS,
    "other rows": OTHER_ROWS,
}
QUOTINGS: dict[str, Quoting] = {"where needed": csv.QUOTE_MINIMAL, "everywhere": csv.QUOTE_ALL}


@dataclass(frozen=True)
class Polluted:
    """A damaged text, and in which cell it was damaged when that holds a text in quotes."""

    kind: str
    text: str
    inside: tuple[int, str] | None = None
    """The row and column whose text may be another one now."""


@dataclass(frozen=True)
class Span:
    """Where a cell stands in the clean text."""

    start: int
    end: int
    row: int
    column: str


def a_spec() -> Spec:
    """Return a spec of the table."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    data = {"target": "y", "missing": ["*"], "categorical": ["note", "kind", "size"]}
    return Spec.model_validate(fields | {"data": data | {"max_refused_share": 1.0}})


def clean(
    separator: str, quoting: Quoting, rows: Sequence[tuple[str, ...]] = ROWS
) -> tuple[str, list[Span]]:
    """Return the table as a text, and where its cells stand, the header's too as row -1."""
    text, spans = "", []
    for row, cells in enumerate([HEADER, *rows], -1):
        for place, (column, cell) in enumerate(zip(HEADER, cells, strict=True)):
            written = io.StringIO()
            csv.writer(written, delimiter=separator, quoting=quoting).writerow([cell, ""])
            bare = written.getvalue().rpartition(separator)[0]
            spans.append(Span(len(text), len(text) + len(bare), row, column))
            text += bare + (separator if place < len(HEADER) - 1 else END)
    return text, spans


def inside(text: str, spans: list[Span], place: int, edge: int = 1) -> tuple[int, str] | None:
    """Return the cell within whose quotes a place is."""
    for span in spans:
        if (
            text[span.start : span.start + 1] == '"'
            and span.start + edge <= place <= span.end - edge
        ):
            return span.row, span.column
    return None


def single_marks(text: str, spans: list[Span], separator: str) -> Iterator[Polluted]:
    """Yield the text with one mark put in, left out, doubled or changed, wherever there is one."""
    for place in range(text.index(END) + len(END), len(text) + 1):
        before, after, cell = text[:place], text[place:], inside(text, spans, place)
        yield Polluted("a stray quote", f'{before}"{after}')
        yield Polluted("a stray doubled quote", f'{before}""{after}', inside(text, spans, place, 0))
        yield Polluted("a backslash and a quote", f'{before}\\"{after}')
        yield Polluted("a stray separator", before + separator + after, cell)
        yield Polluted("a stray line end", before + END + after, cell)
        if after.startswith(separator):
            for kind, other in (("lost", ""), ("other", ";" if separator != ";" else ",")):
                yield Polluted(f"{kind} separator", before + other + after[1:], cell)
            yield Polluted("a space for a separator", f"{before} {after[1:]}", cell)
        if after.startswith('"'):
            yield Polluted("a lost quote", before + after[1:])
            yield Polluted("another quote", f"{before}'{after[1:]}")
        if after.startswith(END):
            yield Polluted("a lost line end", before + after[len(END) :], cell)
            yield Polluted("a space for a line end", f"{before} {after[len(END) :]}", cell)
            for other in ("\n", "\r", "\r\n"):
                yield Polluted("another line end", before + other + after[len(END) :], cell)


def some(marks: Iterator[Polluted]) -> Iterator[Polluted]:
    """Yield some damages of each kind, all where the run is a long one."""
    seen_of: Counter[str] = Counter()
    for polluted in marks:
        step = STEPS.get(polluted.kind, OTHER_STEP)
        if PROFILE.tries_every_damage or seen_of[polluted.kind] % step == 0:
            yield polluted
        seen_of[polluted.kind] += 1


def judged(text: str, contract: Contract | None) -> tuple[Contract, list[Cells]] | None:
    """Return the rows that are taken in, None where the file is refused whole."""
    try:
        ingested = ingest(io.BytesIO(text.encode()), "x.csv", a_spec(), contract)
        parts = list(ingested.parts)
    except FileRefusedError:
        return None
    names = [*contract.features, "label"] if contract else [*ingested.contract.features, "label"]
    rows = [row for part in parts for row in part.frame.select(names).rows()]
    held = ingested.contract
    return (with_ranges_seen(held, summary_of(parts[0].frame, held)) if parts else held), rows


def is_wrong(row: Cells, good: list[Cells], names: list[str], polluted: Polluted) -> bool:
    """Say whether a row is none of the good ones, but for the text of the damaged cell."""
    if row in good:
        return False
    if polluted.inside is None:
        return True
    number, column = polluted.inside
    place = names.index(column) if column in names else -1
    like = [*good[number][:place], row[place], *good[number][place + 1 :]] if place >= 0 else []
    return list(row) != like


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("quoting", QUOTINGS)
@pytest.mark.parametrize("separator", [",", "\t"], ids=["comma", "tab"])
def test_a_mark_too_many_or_too_few_lets_no_wrong_row_in(
    separator: str, quoting: str, before: str
) -> None:
    """A quote, a separator or a line end: rows are those of the clean table, or refused."""
    text, spans = clean(separator, QUOTINGS[quoting])
    held = judged(clean(separator, QUOTINGS[quoting], BEFORE[before] or ROWS)[0], None)
    assert held is not None
    contract = held[0]
    found = judged(text, contract)
    assert found is not None
    good, names = found[1], [*contract.features, "label"]
    assert len(good) == len(ROWS)
    wrong: Counter[str] = Counter()
    for polluted in some(single_marks(text, spans, separator)):
        found = judged(polluted.text, contract if BEFORE[before] else None)
        rows = found[1] if found else []
        wrong[polluted.kind] += any(is_wrong(row, good, names, polluted) for row in rows)
    assert wrong == dict.fromkeys(wrong, 0)
    assert {"a stray quote", "lost separator"} <= wrong.keys()


def whole_files() -> Iterator[Polluted]:
    """Yield the table damaged all over, at its start or at its end."""
    text, _ = clean(",", csv.QUOTE_MINIMAL)
    quoted, _ = clean(",", csv.QUOTE_ALL)
    header, _, body = text.partition(END)
    for other in (";", "|", "\t", " ", ":", ", ", "\t\t", "\\t"):
        all_over = quoted.replace('","', f'"{other}"')
        yield Polluted(f"separated by {other!r}", all_over)
        yield Polluted(f"rows separated by {other!r}", header + END + all_over.partition(END)[2])
        if len(other) == 1:
            yield Polluted(f"separated by {other!r}", clean(other, csv.QUOTE_MINIMAL)[0])
    for other in ("\r", "\r\n", "\n\n", " \n", ",\n", "\x0b", "\u2028"):
        yield Polluted(f"lines ended by {other!r}", quoted.replace('"\n"', f'"{other}"'))
    yield Polluted("a mark", "\ufeff" + text)
    yield Polluted("two marks", "\ufeff\ufeff" + text)
    yield Polluted("a mark in the middle", text + "\ufeff" + text)
    yield Polluted("backslashes for doubled quotes", text.replace('""', '\\"'))
    yield Polluted("a space before quotes", quoted.replace(',"', ', "'))
    yield Polluted("a space behind quotes", quoted.replace('",', '" ,'))
    for lines in ("note", "# a comment", "a,b", "note,,,,,", ",,,,,", header, header.upper()):
        yield Polluted(f"{lines} before", f"{lines}\n{text}")
        yield Polluted(f"{lines} behind", f"{text}{lines}\n")
        yield Polluted(f"{lines} behind the header", f"{header}\n{lines}\n{body}")
    for other in ("", header.upper(), header.replace("kind", ""), header.replace("kind", "size")):
        yield Polluted(f"headed {other}", f"{other}\n{body}")
    yield Polluted("no header", body)
    yield Polluted("cut off", text[: len(text) // 2])
    yield Polluted("another table behind", f"{text}\na,b,c\n1,2,3\n4,5,6\n")
    yield Polluted("a wider table behind", f"{text}\na,b,c,d,e,f,g\n1,2,3,4,5,6,7\n")
    yield Polluted("spaces around", quoted.replace('"', ' " '))


def test_a_file_that_is_damaged_all_over_lets_no_wrong_row_in() -> None:
    """Rows of the clean table, or none."""
    held = judged(clean(",", csv.QUOTE_MINIMAL)[0], None)
    assert held is not None
    contract, good = held
    wrong = {
        polluted.kind: rows
        for polluted in whole_files()
        if (found := judged(polluted.text, contract))
        and (rows := [row for row in found[1] if row not in good])
    }
    assert not wrong
