"""Who is promoted, as a table: what the gate says of each pair of contenders."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from include.records import Form, Scores, Verdict
from include.spec import Gate
from include.stages.promote import promote
from include.stages.score import agree, score

POSITIVES, NEGATIVES = 100, 900
Y = np.repeat(np.array([1, 0], np.int8), [POSITIVES, NEGATIVES])
"""Calling every row positive has F1 0.1818 here."""


def calls(hits: int, alarms: int, *, others: bool = False) -> np.ndarray:
    """Return the calls of a model: so many positives and so many negatives are called positive.

    Two models call the same rows first, unless one of them calls `others`.
    """
    side = slice(None, None, -1 if others else 1)
    hit, alarm = np.arange(POSITIVES)[side] < hits, np.arange(NEGATIVES)[side] < alarms
    return np.concatenate([hit, alarm])


def scores(challenger: np.ndarray, champion: np.ndarray | None) -> Scores:
    """Return the scores of two models that are sure of their calls."""
    card = score(Y, challenger.astype(float), 0.5, "2", 5)
    if champion is None:
        return Scores(card)
    other = score(Y, champion.astype(float), 0.5, "1", 5)
    return Scores(card, other, agree(Y, challenger, champion))


CHAMPION = calls(60, 60)  # F1 0.5455
SURE = calls(70, 60)  # the same and ten hits more: F1 0.6087
LUCKY = calls(61, 60)  # the same and one hit more: F1 0.5520
NOISY = calls(63, 60, others=True)  # other rows, a little better: F1 0.5650
WORSE = calls(50, 60)  # F1 0.4762
UNSKILLED = calls(10, 90)  # F1 0.1000


@pytest.mark.parametrize(
    ("challenger", "champion", "force", "confidence", "verdict", "reason"),
    [
        (SURE, None, False, 0.95, "PROMOTE", "first model with skill: F1 0.6087 beats the 0.1818"),
        (UNSKILLED, None, False, 0.95, "REJECT", "F1 0.1000 does not beat the 0.1818"),
        (UNSKILLED, None, True, 0.95, "REJECT", "does not beat the 0.1818"),
        (UNSKILLED, CHAMPION, True, 0.95, "REJECT", "does not beat the 0.1818"),
        (SURE, CHAMPION, False, 0.95, "PROMOTE", "F1 0.6087 beats champion F1 0.5455 (version 1)"),
        (CHAMPION, CHAMPION, False, 0.95, "HOLD", "F1 0.5455 (version 1) on the same 1000"),
        (CHAMPION, CHAMPION, False, 0.5, "HOLD", "does not beat champion"),
        (LUCKY, CHAMPION, False, 0.95, "HOLD", "of resampled holdouts, 95.0% are asked"),
        (LUCKY, CHAMPION, False, 0.5, "PROMOTE", "F1 0.5520 beats champion F1 0.5455"),
        (NOISY, CHAMPION, False, 0.95, "HOLD", "can tell from noise is about 0."),
        (NOISY, CHAMPION, False, 0.5, "PROMOTE", "F1 0.5650 beats champion"),
        (NOISY, CHAMPION, True, 0.95, "PROMOTE", "forced from the trigger form, although"),
        (WORSE, CHAMPION, False, 0.5, "HOLD", "F1 0.4762 does not beat champion F1 0.5455"),
        (WORSE, CHAMPION, True, 0.95, "PROMOTE", "forced from the trigger form, although"),
        (SURE, CHAMPION, True, 0.95, "PROMOTE", "challenger F1 0.6087 beats"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_challenger(  # noqa: PLR0913, PLR0917 - the columns of the table
    challenger: np.ndarray,
    champion: np.ndarray | None,
    force: bool,  # noqa: FBT001
    confidence: float,
    verdict: str,
    reason: str,
) -> None:
    """REJECT is about the challenger alone, HOLD about the pair; force passes HOLD only."""
    judged = scores(challenger, champion)
    decision = promote(judged, Form(force=force, note="why"), Gate(confidence=confidence))
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason
    assert decision.scores == judged
    assert decision.note == "why"


@pytest.mark.parametrize(
    ("challenger", "champion", "checks"),
    [
        (UNSKILLED, CHAMPION, {"no_skill_f1": False}),
        (SURE, None, {"no_skill_f1": True}),
        (WORSE, CHAMPION, {"no_skill_f1": True, "champion_f1": False, "beyond_noise": False}),
        (LUCKY, CHAMPION, {"no_skill_f1": True, "champion_f1": True, "beyond_noise": False}),
        (SURE, CHAMPION, {"no_skill_f1": True, "champion_f1": True, "beyond_noise": True}),
    ],
)
def test_a_decision_lists_its_checks(
    challenger: np.ndarray, champion: np.ndarray | None, checks: dict[str, bool]
) -> None:
    """Each check carries the value, the bound and the sentence it was judged by."""
    decision = promote(scores(challenger, champion), Form(), Gate())
    assert {check.name: check.passed for check in decision.checks} == checks
    for check in decision.checks:
        assert check.passed == (check.value > check.bound)
        assert f"{check.bound:.4f}" in check.sentence or f"{check.bound:.1%}" in check.sentence


@pytest.mark.parametrize(
    ("challenger", "forced"), [(WORSE, True), (SURE, False)], ids=["needed it", "did not need it"]
)
def test_a_decision_says_whether_force_was_needed(challenger: np.ndarray, *, forced: bool) -> None:
    """A challenger that won by itself is not recorded as forced."""
    assert promote(scores(challenger, CHAMPION), Form(force=True), Gate()).forced is forced


def test_equal_models_are_rarely_promoted() -> None:
    """Of 200 pairs of equal quality few get through, about the share that the gate accepts."""
    rng = np.random.default_rng(7)
    known = scores(CHAMPION, CHAMPION).challenger
    promoted = 0
    for _ in range(200):
        one, two = (rng.random(len(Y)) < np.where(Y == 1, 0.6, 0.07) for _ in range(2))
        mine, theirs = (replace(known, f1=float(f1_score(Y, called))) for called in (one, two))
        verdict = promote(Scores(mine, theirs, agree(Y, one, two)), Form(), Gate()).verdict
        promoted += verdict is Verdict.PROMOTE
    assert 0.01 < promoted / 200 < 0.10
