"""The recipe "a check of the gate" of CONTRIBUTING.md, followed on a copy of the tree."""

from pathlib import Path

import pytest

from tests.copied_tree import copied_tree, printed, with_line

FIELD = '''    least_holdout_rows: int = Field(0, ge=0)
    """A challenger that was judged on fewer rows is rejected."""
'''
CHECK = """

def _judged_on_enough(card: Scorecard, rule: Gate) -> Check:
    passed = card.rows >= rule.least_holdout_rows
    verb = "reach" if passed else "do not reach"
    sentence = f"{card.rows} holdout rows {verb} the {rule.least_holdout_rows} of the spec"
    bound = float(rule.least_holdout_rows)
    return Check("holdout_rows", passed, float(card.rows), bound, sentence, inclusive=True)
"""
CALL = "        _judged_on_enough(card, rule),\n"
ROW = "| `holdout_rows` | at least `gate.least_holdout_rows` rows in the holdout | REJECT |\n"
DECIDED = """
from include.records.judging import Verdict
from include.records.training import Form
from include.spec.model_spec import Gate
from include.stages.decide import decide
from tests.spec.test_promotion_table import CHAMPION, SURE, scores

judged = scores(SURE, CHAMPION)
for bound, verdict in ((judged.challenger.rows, Verdict.PROMOTE), (10**6, Verdict.REJECT)):
    decision = decide(judged, Form(), Gate(least_holdout_rows=bound))
    (check,) = (one for one in decision.checks if one.name == "holdout_rows")
    assert decision.verdict is verdict, decision
    assert check.passed is (verdict is Verdict.PROMOTE), check
assert "do not reach the 1000000 of the spec" in decision.reason, decision.reason
"""
CHECKED = """
from pathlib import Path

from docs.check import check_problems

print(*check_problems(Path("docs/gate.md").read_text()), sep="\\n")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the gate, with a check more and its bound."""
    tree = copied_tree(tmp_path, "include", "serving", "docs", "tests")
    gate = tree / "include/spec/model_spec.py"
    with_line(gate, "    approval: bool = False\n", FIELD)
    fitness = tree / "include/stages/decide/fitness.py"
    with_line(fitness, "        _quick(card, rule),\n", CALL)
    fitness.write_text(fitness.read_text() + CHECK)
    return tree


def test_a_function_its_call_and_its_bound_are_a_check(tree: Path) -> None:
    """It is in the decision, passed or not, and its failure is the reason of the verdict."""
    assert printed(tree, DECIDED) == ""


def test_a_check_without_its_row_is_found_and_one_with_it_is_well(tree: Path) -> None:
    """The table of checks is held to the code."""
    assert "holdout_rows" in printed(tree, CHECKED)
    page = tree / "docs/gate.md"
    beside = next(
        line for line in page.read_text().splitlines(keepends=True) if "`size_mib`" in line
    )
    with_line(page, beside, ROW)
    assert printed(tree, CHECKED) == ""
