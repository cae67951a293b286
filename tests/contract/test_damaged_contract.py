"""A contract that somebody wrote into: it is said where it stands, and how it comes back."""

from pathlib import Path

import pytest

from include.errors import ContractError
from tests.contract.bank import bank_at, bank_rows, deliver
from tests.contract.pipeline import take_in


@pytest.mark.parametrize("content", [b"", b"x = [", b"\xff\xfe", b"columns = 1"])
def test_a_damaged_contract_is_said_with_its_place_and_the_mend(
    tmp_path: Path, content: bytes
) -> None:
    """Done as the sentence says, the next delivery is taken in."""
    deliver(bank_at(tmp_path), bank_rows(40, 1).write_csv(), "first.csv")
    path = tmp_path / "lake" / "bank" / "contract.toml"
    path.write_bytes(content)
    with pytest.raises(ContractError) as caught:
        deliver(bank_at(tmp_path), bank_rows(40, 2).write_csv(), "second.csv")
    assert str(path) in str(caught.value)
    assert "move it away" in str(caught.value)
    path.unlink()
    assert [batch.name for batch in take_in(bank_at(tmp_path)).batches] == ["second.csv"]
    assert bank_at(tmp_path).lake.require_contract().version == 1


def test_a_contract_that_a_windows_editor_saved_is_read(tmp_path: Path) -> None:
    """A byte order mark and carriage returns say nothing."""
    deliver(bank_at(tmp_path), bank_rows(40, 1).write_csv(), "first.csv")
    path = tmp_path / "lake" / "bank" / "contract.toml"
    before = bank_at(tmp_path).lake.require_contract()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert bank_at(tmp_path).lake.require_contract() == before
