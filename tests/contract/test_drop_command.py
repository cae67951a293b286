"""`./ratchet drop`: a file into the landing place, wherever that is."""

import io
import os
import sys
from pathlib import Path

import pytest

from tests.contract.bank import bank_at, bank_rows, ratchet
from tests.contract.pipeline import take_in

TEXT = bank_rows(20, seed=1).write_csv()


def test_a_file_lands_under_its_own_name(tmp_path: Path) -> None:
    """What is dropped is taken in by the next run, as if a person had copied it there."""
    (tmp_path / "monday.csv").write_text(TEXT)
    said = ratchet(tmp_path, "drop", "bank", str(tmp_path / "monday.csv"))
    assert (said.code, said.err) == (0, "")
    (batch,) = take_in(bank_at(tmp_path)).batches
    assert (batch.name, batch.read) == ("monday.csv", 20)


def test_standard_input_lands_under_the_name_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container is handed a file that it cannot see."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert ratchet(tmp_path, "drop", "bank", "-", "--name", "piped.csv").code == 0
    (batch,) = take_in(bank_at(tmp_path)).batches
    assert (batch.name, batch.read) == ("piped.csv", 20)


@pytest.mark.parametrize("words", [("-",), ("-", "--name", "../x.csv"), ("no-such-file.csv",)])
def test_what_cannot_land_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    """No name, a name that leads elsewhere, no file: one sentence, and nothing lands."""
    said = ratchet(tmp_path, "drop", "bank", *words)
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert bank_at(tmp_path).landing.claim() == []


def test_standard_input_is_asked_for_a_name(tmp_path: Path) -> None:
    """It has none of its own; a folder is told to be no file before its name is looked at."""
    assert "standard input has no name: give it one with --name" in (
        ratchet(tmp_path, "drop", "bank", "-").err
    )
    assert ratchet(tmp_path, "drop", "bank", "/").err == "/ is no file\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".hidden.csv", "begin with a dot"),
        ("..", "begin with a dot"),
        ("a.csv.part", "end with .part"),
        ("a.csv.done", "end with .done"),
        ("a.csv~", "end with ~"),
        ("in/a.csv", "slashes"),
        ("/etc/passwd", "slashes"),
        ("n" * 256, "255 bytes"),
        ("ü" * 128, "255 bytes"),
    ],
)
def test_a_name_that_landing_ignores_is_refused(tmp_path: Path, name: str, why: str) -> None:
    """What would lie there for ever is told to who drops it, with an exit code."""
    (tmp_path / "a.csv").write_text(TEXT)
    said = ratchet(tmp_path, "drop", "bank", str(tmp_path / "a.csv"), "--name", name)
    assert (said.code, said.out) == (1, "")
    assert why in said.err
    assert bank_at(tmp_path).landing.claim() == []


def test_an_odd_name_lands_and_is_shown_escaped(tmp_path: Path) -> None:
    """The terminal gets no sequence out of a name, and the file keeps it."""
    name = os.fsdecode(b"caf\xe9\x1b[2J\n.csv")
    (tmp_path / name).write_text(TEXT)
    said = ratchet(tmp_path, "drop", "bank", str(tmp_path / name))
    assert said.out.startswith(r"caf\xe9\x1b[2J\x0a.csv lies in")
    assert [one.name for one in bank_at(tmp_path).landing.claim()] == [name]


@pytest.mark.parametrize("spec", ["../bank", "/etc/bank", "BANK", "bank.toml", "a\nb", ""])
@pytest.mark.parametrize("command", ["quarantine", "contract"])
def test_a_spec_is_a_name_and_no_path(tmp_path: Path, spec: str, command: str) -> None:
    """No command reads a file outside the folder of the specs."""
    said = ratchet(tmp_path, command, spec)
    assert (said.code, said.out) == (1, "")
    assert "is no name of a spec" in said.err
