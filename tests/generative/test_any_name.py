"""A file may bear any name that a disk can hold: it is carried as it is and shown escaped."""

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.adapters.landing import claims
from include.context.step_context import StepContext
from include.formats.completeness import why_ignored
from include.records.packing import pack
from include.steps import ingest as ingest_step
from include.store.keys import key_part, name_of
from include.text.showable import showable, showable_name, showable_row
from include.text.spreadsheet_cells import neutral_cell, restored_cell
from tests.contract.bank import bank_at

ODD = st.sampled_from(
    [
        b"\xe9",
        b"\xff",
        b"\n",
        b"\x1b[2J",
        b"\x7f",
        b"-",
        b".",
        b"%2F",
        b"%%",
        b"\\",
        b" ",
        b"=",
        b"'",
    ]
    + [text.encode() for text in ("\u0308", "\u202e", "\u200b", "\ufeff", "\ufffe", "\U0001f600")]
)
ENDS = st.sampled_from([b".csv", b".jsonl", b".csv.gz", b".part", b".done", b"~", b"", b".digest"])
STEM = st.lists(ODD | st.binary(max_size=4), max_size=8).map(b"".join)
NAME = st.builds(bytes.__add__, STEM, ENDS).filter(
    lambda name: not {0, ord("/")} & {*name} and name not in {b"", b".", b".."}
)
NAMES = st.sets(NAME | st.just(b"n" * 255) | st.just(b"\xff" * 251 + b".csv"), max_size=4)
LONG_AGO = 1_700_000_000
GOOD = b"age,balance,job,y\n" + b"".join(
    b"%d,1,x,%s\n" % (n, (b"yes", b"no")[n % 2]) for n in range(9)
)


@pytest.fixture(autouse=True, scope="module")
def _looks_often() -> Iterator[None]:
    """Settle files fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "POLL_SECONDS", 0.001)
        yield


@given(NAMES)
@example({b"caf\xe9.csv", b"caf\xc3\xa9.csv", b"a\nb.csv"})
def test_any_names_go_from_landing_to_their_end(names: set[bytes]) -> None:
    """Every delivery is taken, each under its own name; nothing else is; what is told is text."""
    folder = Path(tempfile.mkdtemp())
    try:
        context = bank_at(folder)
        place = Path(context.landing.url)
        place.mkdir(parents=True)
        for number, name in enumerate(sorted(names)):
            path = place / os.fsdecode(name)
            path.write_bytes(GOOD + b"%d,2,x,no\n" % number)
            # What says by its name that it is packed, and is not, waits for a minute.
            os.utime(path, (LONG_AGO, LONG_AGO))
        taken_in(context)
        expected = {os.fsdecode(name) for name in names}
        taken = {name for name in expected if not why_ignored(name)}
        ends = [
            *Path(context.lake.url).glob("archive/*/*"),
            *Path(context.lake.url).glob("quarantine/*/*"),
        ]
        # The archive keeps the contracts beside the deliveries.
        delivered = {path.name for path in ends if not path.parent.name.startswith(".")}
        assert delivered - {"reason.txt"} == taken
        assert {path.name for path in place.iterdir() if path.is_file()} == expected - taken
    finally:
        shutil.rmtree(folder)


def taken_in(context: StepContext) -> None:
    """Bring what waits to its end, without the lake; what a task would hand on is text."""
    for delivery in context.landing.claim():
        batch = ingest_step.ingest_delivery(context, delivery)
        text = json.dumps(pack(batch), ensure_ascii=False)
        assert text.isprintable()
        assert text.encode()
        if not batch.note:
            context.landing.archive(delivery)
    for batch in ingest_step.left_alone(context):
        assert json.dumps(pack(batch), ensure_ascii=False).isprintable()


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@given(ANY_TEXT)
def test_what_is_shown_is_harmless_and_stays(text: str) -> None:
    """It can be stored, it steers nothing, and showing it again changes nothing."""
    for show in (showable, showable_name, showable_row):
        shown = show(text)
        assert shown.encode().decode() == shown
        assert "\0" not in shown
        assert "\x1b" not in shown
        assert show(shown) == shown
    assert "\n" not in showable_name(text)
    assert len(showable(text * 200, 500)) <= 500
    assert showable(showable(text * 200, 500), 500) == showable(text * 200, 500)


@given(NAME.map(os.fsdecode))
@example("100%25.csv")
@example("%%caf%E9.csv")
@example("%%%25%25caf%25E9.csv")
def test_every_name_has_its_key(name: str) -> None:
    """A bucket gives back the very name; what its client or its server cannot take is written."""
    key = key_part(name)
    assert name_of(key) == name or len(os.fsencode(name)) > 80
    assert key_part(name_of(key)) == key
    assert len(key.encode()) <= 255
    assert not any(character < " " or character in "\x7f\\" for character in key)


@given(st.text("%25EFcaf\\\n\xe9", max_size=12))
def test_every_key_has_its_name(key: str) -> None:
    """Whoever put an object there, it is found again by the name that it is listed under."""
    if key_part(key) == key:
        assert key_part(name_of(key)) == key


CELL = st.text(st.sampled_from("=+-@\t\r\n'\",;0159.eé\uff1d x") | st.characters(), max_size=8)


@given(CELL)
def test_no_cell_is_run_and_every_cell_comes_back(cell: str) -> None:
    """Exactly what it was, numbers untouched, also by way of a file."""
    marked = neutral_cell(cell)
    assert restored_cell(marked) == cell
    assert not marked.startswith(("=", "@", "\t", "\r"))
    assert not marked.startswith(("+", "-")) or marked == cell
    text = pl.DataFrame({"raw": [marked, "x"], "n": [1, 2]}).write_csv()
    assert list(csv.reader(io.StringIO(text, newline="")))[1][0] == marked


@pytest.mark.parametrize("number", ["-1.5", "+3", "-1e-7", "-.5", "-1,5", "0"])
def test_numbers_stay_numbers(number: str) -> None:
    """A minus sign alone makes no formula."""
    assert neutral_cell(number) == number


@pytest.mark.parametrize("formula", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1"])
def test_formulas_are_text(formula: str) -> None:
    """What a spreadsheet would run is marked."""
    assert neutral_cell(formula) == f"'{formula}"


def test_what_is_shown_is_read_by_people() -> None:
    """Bytes that are no text, controls, and marks that turn a line around, in plain sight."""
    assert showable_name(os.fsdecode(b"caf\xe9\n\x1b.csv")) == r"caf\xe9\x0a\x1b.csv"
    assert showable("a\u202eb\u200bc\0\td\n") == "a\\u202eb\\u200bc\\x00\td\n"
    assert showable("Größe 10 \u20ac 日本 \U0001f600") == "Größe 10 \u20ac 日本 \U0001f600"
