"""The verdict on a challenger."""

from collections.abc import Iterable

from include.records import Check, Decision, Form, Preflight, Scores, Verdict
from include.spec import Gate
from include.stages.promote.comparison import compare
from include.stages.promote.fitness import fitness, flown

_HEADLINES = ("champion_f1", "beyond_noise")


def promote(scores: Scores, form: Form, rule: Gate, preflight: Preflight | None = None) -> Decision:
    """Decide on a challenger scored on the same holdout as the champion, if there is one.

    A form with `force` promotes past HOLD, never past REJECT. `preflight` is what the endpoint did
    with the challenger, once it has been asked.
    """
    alone = (*fitness(scores, rule), *flown(preflight))
    unfit = [check for check in alone if not check.passed]
    if unfit:
        return Decision(Verdict.REJECT, _told(unfit), alone, scores, note=form.note)
    pair = compare(scores, rule)
    verdict, reason, forced = _judge(scores, form, pair.checks)
    checks = (*alone, *pair.checks)
    return Decision(verdict, reason, checks, scores, forced, form.note, pair.smallest_gain)


def _judge(scores: Scores, form: Form, pair: tuple[Check, ...]) -> tuple[Verdict, str, bool]:
    """Return the verdict on a fit challenger, its reason, and whether it took force."""
    reason = _told(check for check in pair if check.name in _HEADLINES or not check.passed)
    if all(check.passed for check in pair):
        return Verdict.PROMOTE, reason or _unopposed(scores), False
    if form.force:
        return Verdict.PROMOTE, f"forced from the trigger form, although {reason}", True
    return Verdict.HOLD, reason, False


def _unopposed(scores: Scores) -> str:
    card = scores.challenger
    skill = f"F1 {card.f1:.4f} beats the {card.no_skill_f1:.4f} of calling every row positive"
    if scores.unfit_champion is None:
        return f"the first model with skill: {skill}"
    return f"champion version {scores.unfit_champion} cannot answer rows as they are now; {skill}"


def _told(checks: Iterable[Check]) -> str:
    return "; ".join(check.sentence for check in checks)
