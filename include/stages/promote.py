"""Whether a challenger becomes the champion, with every check and its numbers.

REJECT is about the challenger alone: it is not fit for production. HOLD is about the pair: it is
sound, but not better than the champion beyond what the choice of holdout rows can do by chance.
"""

import numpy as np
from numpy.typing import NDArray

from include.records import Agreement, Check, Decision, Form, Scorecard, Scores, Verdict
from include.spec import Gate

DRAWS = 10_000
# A decision made again from the same scores has to come out the same.
SEED = 0


def promote(scores: Scores, form: Form, rule: Gate) -> Decision:
    """Decide on a challenger scored on the same holdout as the champion, if there is one.

    A form with `force` promotes past HOLD, never past REJECT.
    """
    skill = _beats_no_skill(scores.challenger)
    if not skill.passed:
        return Decision(Verdict.REJECT, skill.sentence, (skill,), scores, note=form.note)
    if scores.unfit_champion is not None:
        reason = (
            f"champion version {scores.unfit_champion} cannot answer rows as they are now; "
            f"{skill.sentence}"
        )
        return Decision(Verdict.PROMOTE, reason, (skill,), scores, note=form.note)
    if scores.champion is None or scores.agreement is None:
        reason = f"the first model with skill: {skill.sentence}"
        return Decision(Verdict.PROMOTE, reason, (skill,), scores, note=form.note)
    better = _beats_champion(scores.challenger, scores.champion)
    sure = _beyond_noise(scores.agreement, rule)
    checks = (skill, better, sure)
    reason = f"{better.sentence}; {sure.sentence}"
    if better.passed and sure.passed:
        return Decision(Verdict.PROMOTE, reason, checks, scores, note=form.note)
    if form.force:
        forced = f"forced from the trigger form, although {reason}"
        return Decision(Verdict.PROMOTE, forced, checks, scores, forced=True, note=form.note)
    return Decision(Verdict.HOLD, reason, checks, scores, note=form.note)


def gains(agreement: Agreement) -> NDArray[np.float64]:
    """Return the gain in F1, challenger less champion, on resampled holdouts, shape (DRAWS,).

    The paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993; paired over
    two systems in Koehn, EMNLP 2004). F1 needs only eight counts, and drawing rows with
    replacement makes these a multinomial, so it is drawn directly: exact, in milliseconds.
    """
    counts = np.array([agreement.positives, agreement.negatives], dtype=np.float64).ravel()
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=DRAWS)
    positives, negatives = drawn[:, :4], drawn[:, 4:]
    challenger = _f1(positives[:, [1, 3]], positives[:, [0, 2]], negatives[:, [1, 3]])
    champion = _f1(positives[:, [2, 3]], positives[:, [0, 1]], negatives[:, [2, 3]])
    return challenger - champion


def _f1(
    hits: NDArray[np.int64], misses: NDArray[np.int64], alarms: NDArray[np.int64]
) -> NDArray[np.float64]:
    twice = 2.0 * hits.sum(axis=1)
    total = twice + misses.sum(axis=1) + alarms.sum(axis=1)
    # Without a hit F1 is zero, whatever else is counted.
    share: NDArray[np.float64] = twice / np.maximum(total, 1.0)
    return share


def _beats_no_skill(challenger: Scorecard) -> Check:
    f1, bound = challenger.f1, challenger.no_skill_f1
    passed = f1 > bound
    verb = "beats" if passed else "does not beat"
    sentence = f"F1 {f1:.4f} {verb} the {bound:.4f} of calling every row positive"
    return Check("no_skill_f1", passed, f1, bound, sentence)


def _beats_champion(challenger: Scorecard, champion: Scorecard) -> Check:
    passed = challenger.f1 > champion.f1
    verb = "beats" if passed else "does not beat"
    sentence = (
        f"challenger F1 {challenger.f1:.4f} {verb} champion F1 {champion.f1:.4f} "
        f"(version {champion.model_version}) on the same {champion.rows} holdout rows"
    )
    return Check("champion_f1", passed, challenger.f1, champion.f1, sentence)


def _beyond_noise(agreement: Agreement, rule: Gate) -> Check:
    gained = gains(agreement)
    # An equal F1 is half a win: two models that call every row alike win half of the time.
    share = float(np.mean(gained > 0) + np.mean(gained == 0) / 2)
    seen = float(np.quantile(gained, rule.confidence) - np.median(gained))
    sentence = (
        f"it wins on {share:.1%} of resampled holdouts, {rule.confidence:.1%} are asked "
        f"(the smallest gain that this holdout can tell from noise is about {seen:.4f})"
    )
    return Check("beyond_noise", share >= rule.confidence, share, rule.confidence, sentence)
