"""What waits in quarantine for somebody is counted; what was mended and taken in is not."""

from pathlib import Path

import pytest

from include.context.step_context import Workplace
from include.steps import settle as settle_step
from tests.contract.bank import bank_at, bank_rows, deliver

GOOD = bank_rows(20, seed=1).write_csv()
MORE = bank_rows(10, seed=2).write_csv()
SPOILT = MORE.splitlines()
SPOILT[1] = "old" + SPOILT[1]


@pytest.fixture
def at(tmp_path: Path) -> Workplace:
    """Return a workplace whose contract a good file has fixed."""
    at = bank_at(tmp_path)
    deliver(at, GOOD, "first.csv")
    return at


def _waiting(at: Workplace) -> tuple[int, int]:
    seen = settle_step.look(at)
    return seen.refused_files, seen.refused_rows


def test_refused_rows_count_until_they_were_mended(at: Workplace) -> None:
    """Mended and taken in they wait for nobody, although quarantine keeps them."""
    deliver(at, "\n".join(SPOILT) + "\n", "more.csv")
    assert _waiting(at) == (0, 1)
    deliver(at, MORE, "more.csv")
    assert _waiting(at) == (0, 0)
    assert settle_step.look(at).quarantine_bytes > 0


def test_a_refused_file_counts_until_its_mended_one_came(at: Workplace) -> None:
    """And counts again when the same bytes are refused again."""
    wrong = "what,is,this\n1,2,3\n"
    deliver(at, wrong, "more.csv")
    assert _waiting(at) == (1, 0)
    deliver(at, MORE, "more.csv")
    assert _waiting(at) == (0, 0)
    deliver(at, wrong, "more.csv")
    assert _waiting(at) == (1, 0)


def test_some_rows_mended_leave_the_others_waiting(at: Workplace) -> None:
    """A batch counts as long as a row of it waits."""
    spoilt = [SPOILT[0], SPOILT[1], "old" + SPOILT[2], *SPOILT[3:]]
    batch = deliver(at, "\n".join(spoilt) + "\n", "more.csv")
    at.ledger.promise("e" * 64, batch.digest, [2])
    settle_step.settle(at, "e" * 64)
    assert _waiting(at) == (0, 1)
    at.ledger.promise("f" * 64, batch.digest, [3])
    settle_step.settle(at, "f" * 64)
    assert _waiting(at) == (0, 0)
