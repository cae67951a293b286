"""Small files that hold far too much are refused with a sentence, in seconds and little memory."""

import json
import subprocess
import sys

import pytest

TOO_MUCH = "it unpacks to more than"
TOO_LONG = "a row is longer than 8 MB"
REASONS = {
    "quotes": TOO_LONG,
    "line feeds": TOO_MUCH,
    "carriage returns": TOO_MUCH,
    "zeros": TOO_LONG,
    "digits": TOO_LONG,
    "separators": TOO_LONG,
    "quoted separators": TOO_MUCH,
    "rows that are too short": TOO_MUCH,
    "quoted line ends": TOO_MUCH,
    "good rows": TOO_MUCH,
    "line feeds as JSON": TOO_MUCH,
    "digits as JSON": TOO_LONG,
    "rows that are too short as JSON": TOO_MUCH,
    "empty lines in a quote": TOO_MUCH,
    "quotes, plain": TOO_LONG,
    "quoted line ends, plain": TOO_LONG,
    "quoted separators, plain": "lines are in bad rows",
    "rows that are too short, plain": "lines are in bad rows",
    "empty lines in a quote, plain": TOO_LONG,
    "behind an odd quote": TOO_MUCH,
    "bzip2": TOO_MUCH,
    "zstd": TOO_MUCH,
    "zip": TOO_MUCH,
    "a crowd in a zip": "list of files is longer than 1 MB",
    "zip in zip": "a zip file within a zip archive: pack it once",
    "columns": "the file has 100001 columns, more than the 20000",
    "equal columns": "the file has 400001 columns, more than the 20000",
    "an endless header": "the header is longer than 1 MB",
    "nested JSON": "2 rows",
    "a huge number": TOO_LONG,
    "equal rows of Parquet": "it holds 600000000 values, more than 200 times its size",
    "a long text of Parquet": "a text of 52428800 bytes, more than the 131072 that are read",
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[str, float, float]]:
    """Return why each was refused, in how many seconds and MiB."""
    command = [sys.executable, "-m", "tests.faults.bombs"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, tuple[str, float, float]] = json.loads(done.stdout)
    return found


def test_every_bomb_is_looked_for(outcomes: dict[str, tuple[str, float, float]]) -> None:
    """None is made and forgotten."""
    assert outcomes.keys() == REASONS.keys()


@pytest.mark.parametrize("title", REASONS)
def test_a_bomb_is_refused_soon(outcomes: dict[str, tuple[str, float, float]], title: str) -> None:
    """The sentence says why; it takes seconds of a processor and some hundred MiB at most."""
    reason, seconds, mib = outcomes[title]
    assert REASONS[title] in reason
    assert seconds < 20
    assert mib < 400
