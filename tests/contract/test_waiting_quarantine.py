"""What waits in quarantine for somebody is counted; what was mended and taken in is not."""

from pathlib import Path

import pytest

from include.context.step_context import StepContext
from include.steps import settle as settle_step
from tests.contract.bank import bank_at, bank_rows, deliver

pytestmark = pytest.mark.models_in_memory

GOOD = bank_rows(20, seed=1).write_csv()
MORE = bank_rows(10, seed=2).write_csv()
SPOILT = MORE.splitlines()
SPOILT[1] = "old" + SPOILT[1]


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context whose contract a good file has fixed."""
    context = bank_at(tmp_path)
    deliver(context, GOOD, "first.csv")
    return context


def _waiting(context: StepContext) -> tuple[int, int]:
    seen = settle_step.look(context)
    return seen.refused_files, seen.refused_rows


def test_refused_rows_count_until_they_were_mended(context: StepContext) -> None:
    """Mended and taken in they wait for nobody, although quarantine keeps them."""
    deliver(context, "\n".join(SPOILT) + "\n", "more.csv")
    assert _waiting(context) == (0, 1)
    deliver(context, MORE, "more.csv")
    assert _waiting(context) == (0, 0)
    assert settle_step.look(context).quarantine_bytes > 0


def test_a_refused_file_counts_until_its_mended_one_came(context: StepContext) -> None:
    """And counts again when the same bytes are refused again."""
    wrong = "what,is,this\n1,2,3\n"
    deliver(context, wrong, "more.csv")
    assert _waiting(context) == (1, 0)
    deliver(context, MORE, "more.csv")
    assert _waiting(context) == (0, 0)
    deliver(context, wrong, "more.csv")
    assert _waiting(context) == (1, 0)


def test_some_rows_mended_leave_the_others_waiting(context: StepContext) -> None:
    """A batch counts as long as a row of it waits."""
    spoilt = [SPOILT[0], SPOILT[1], "old" + SPOILT[2], *SPOILT[3:]]
    batch = deliver(context, "\n".join(spoilt) + "\n", "more.csv")
    context.ledger.promise("e" * 64, batch.digest, [2])
    settle_step.settle(context, "e" * 64)
    assert _waiting(context) == (0, 1)
    context.ledger.promise("f" * 64, batch.digest, [3])
    settle_step.settle(context, "f" * 64)
    assert _waiting(context) == (0, 0)
