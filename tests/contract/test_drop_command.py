"""`./ratchet drop`: a file into the landing place, wherever that is."""

import io
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
