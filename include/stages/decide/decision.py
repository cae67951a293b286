"""The verdict on a challenger: all checks in order, and what follows from them."""

from collections.abc import Iterable

from include.records.judging import Check, Decision, Preflight, Scores, UnfitChampion, Verdict
from include.records.training import Form
from include.spec.model_spec import Gate
from include.stages.decide.comparison import compare
from include.stages.decide.fitness import by_rows, fitness, preflight_result, skill_of
from include.stages.decide.proven import proof_of
from include.stages.decide.row_counts import enough_rows

_HEADLINES = ("better", "beyond_noise")
"""Checks that the reason always names, passed or not."""


def decide(scores: Scores, form: Form, rule: Gate, preflight: Preflight | None = None) -> Decision:
    """Decide on a challenger scored on the same holdout rows as the champion, if there is one.

    A form with `force` promotes past HOLD, never past REJECT. `preflight` is what the endpoint did
    with the challenger; None before it has been asked.
    """
    alone = (*fitness(scores, rule), *preflight_result(preflight))
    enough = enough_rows(scores)
    if not all(check.passed for check in alone):
        return _refuse(alone, enough, scores, form)
    pair = compare(scores, rule)
    verdict, reason, forced = _judge(scores, form, (enough, *pair.checks))
    checks = (*alone, enough, *pair.checks)
    return Decision(verdict, reason, checks, scores, forced, form.note, pair.smallest_gain)


def _refuse(alone: tuple[Check, ...], enough: Check, scores: Scores, form: Form) -> Decision:
    """Return the decision on an unfit challenger, which force does not override.

    It is held, not rejected, where too few rows are the reason or only rows are missing for the
    proof: later rows may change the verdict.
    """
    checks = (*alone, enough)
    failed = [check for check in checks if not check.passed]
    excused = {enough.name} if enough.passed else {enough.name, *by_rows(scores)}
    if proof_of(scores, scores.challenger.model_version).waits:
        excused.add("challenger_leak")
    verdict = Verdict.HOLD if all(check.name in excused for check in failed) else Verdict.REJECT
    return Decision(verdict, _told(failed), checks, scores, note=form.note)


def _judge(scores: Scores, form: Form, pair: tuple[Check, ...]) -> tuple[Verdict, str, bool]:
    """Return the verdict on a fit challenger, its reason, and whether force was needed."""
    reason = _told(check for check in pair if check.name in _HEADLINES or not check.passed)
    if all(check.passed for check in pair):
        return Verdict.PROMOTE, reason or _unopposed(scores), False
    if form.force:
        return Verdict.PROMOTE, f"forced from the trigger form, although {reason}", True
    return Verdict.HOLD, reason, False


def _unopposed(scores: Scores) -> str:
    skill = skill_of(scores).sentence
    if isinstance(scores.opponent, UnfitChampion):
        unfit = scores.opponent.version
        return f"champion version {unfit} cannot answer rows as they are now; {skill}"
    return f"the first model with skill: {skill}"


def _told(checks: Iterable[Check]) -> str:
    return "; ".join(check.sentence for check in checks)
