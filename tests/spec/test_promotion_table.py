"""Who is promoted, as a table: what the gate says of each pair of scorecards."""

import pytest

from include.records import Form, Scorecard, Scores, Verdict
from include.stages.promote import promote

SHARE = 0.1  # of positives in the holdout, so calling every row positive has F1 0.1818
NO_SKILL = 2 * SHARE / (1 + SHARE)


def card(f1: float, version: str) -> Scorecard:
    """Return a scorecard on 1,000 rows of which 100 are positive."""
    return Scorecard(
        model_version=version,
        data_version=5,
        rows=1000,
        threshold=0.5,
        f1=f1,
        precision=f1,
        recall=f1,
        accuracy=0.9,
        balanced_accuracy=0.7,
        mcc=0.4,
        roc_auc=0.8,
        average_precision=0.4,
        log_loss=0.3,
        brier=0.1,
        true_negatives=850,
        false_positives=50,
        false_negatives=40,
        true_positives=60,
    )


@pytest.mark.parametrize(
    ("challenger", "champion", "force", "verdict", "reason"),
    [
        # challenger, champion, force, verdict, and a part of the reason
        (0.50, None, False, "PROMOTE", "the first model with skill: F1 0.5000 beats the 0.1818"),
        (0.18, None, False, "REJECT", "F1 0.1800 does not beat the 0.1818 of calling every row"),
        (NO_SKILL, None, False, "REJECT", "does not beat"),
        (0.18, None, True, "REJECT", "does not beat"),
        (0.18, 0.10, False, "REJECT", "does not beat the 0.1818"),
        (0.18, 0.10, True, "REJECT", "does not beat the 0.1818"),
        (0.51, 0.50, False, "PROMOTE", "challenger F1 0.5100 beats champion F1 0.5000 (version 1)"),
        (
            0.50,
            0.50,
            False,
            "HOLD",
            "does not beat champion F1 0.5000 (version 1) on the same 1000",
        ),
        (0.49, 0.50, False, "HOLD", "challenger F1 0.4900 does not beat champion F1 0.5000"),
        (
            0.49,
            0.50,
            True,
            "PROMOTE",
            "forced from the trigger form, although challenger F1 0.4900",
        ),
        (0.51, 0.50, True, "PROMOTE", "challenger F1 0.5100 beats"),
    ],
)
def test_what_becomes_of_a_challenger(
    challenger: float, champion: float | None, verdict: str, reason: str, *, force: bool
) -> None:
    """REJECT is about the challenger alone, HOLD about the pair; force passes HOLD only."""
    scores = Scores(card(challenger, "2"), None if champion is None else card(champion, "1"))
    decision = promote(scores, Form(force=force, note="why"))
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason
    assert decision.scores == scores
    assert decision.note == "why"


@pytest.mark.parametrize(
    ("challenger", "champion", "checks"),
    [
        (0.10, 0.50, [("no_skill_f1", False)]),
        (0.50, None, [("no_skill_f1", True)]),
        (0.49, 0.50, [("no_skill_f1", True), ("champion_f1", False)]),
        (0.51, 0.50, [("no_skill_f1", True), ("champion_f1", True)]),
    ],
)
def test_a_decision_lists_its_checks(
    challenger: float, champion: float | None, checks: list[tuple[str, bool]]
) -> None:
    """Each check carries the value, the bound and the sentence it was judged by."""
    scores = Scores(card(challenger, "2"), None if champion is None else card(champion, "1"))
    decision = promote(scores, Form())
    assert [(check.name, check.passed) for check in decision.checks] == checks
    for check in decision.checks:
        assert check.value == challenger
        assert f"{check.bound:.4f}" in check.sentence


@pytest.mark.parametrize(
    ("challenger", "forced"), [(0.49, True), (0.51, False)], ids=["needed it", "did not need it"]
)
def test_a_decision_says_whether_force_was_needed(challenger: float, *, forced: bool) -> None:
    """A challenger that won by itself is not recorded as forced."""
    scores = Scores(card(challenger, "2"), card(0.5, "1"))
    assert promote(scores, Form(force=True)).forced is forced
