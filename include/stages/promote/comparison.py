"""What a challenger has to be beside the champion: the checks whose failure is a HOLD."""

from dataclasses import dataclass, replace

import numpy as np

from include.records import Agreement, Check, Scorecard, Scores, SliceScore
from include.spec import Gate
from include.stages.promote.fitness import proven
from include.stages.promote.resampling import asked, gains, win_share


@dataclass(frozen=True)
class Comparison:
    """The checks of a pair."""

    checks: tuple[Check, ...]
    smallest_gain: float | None = None
    """About the smallest gain in F1 that this holdout can tell from noise; None when the pair is
    not compared."""


def compare(scores: Scores, rule: Gate) -> Comparison:
    """Check the pair; without a champion that can answer only whether the challenger is barred.

    A champion that may have seen the holdout is not compared with: its scores say nothing.
    """
    checks = _barred(scores)
    champion = scores.champion
    if champion is None or scores.agreement is None:
        return Comparison(checks)
    proof = proven(scores, "champion", champion.model_version)
    if not proof.passed:
        return Comparison((*checks, _unjudged(proof)))
    better = _beats_champion(scores.challenger, champion)
    sure, seen = _beyond_noise(scores.agreement, scores.looks, rule)
    harms = (_harmless(one, len(scores.slices), rule) for one in scores.slices)
    return Comparison((*checks, proof, better, sure, *harms), seen)


def _barred(scores: Scores) -> tuple[Check, ...]:
    if not scores.barred:
        return ()
    return (Check("barred", passed=False, value=1.0, bound=0.0, sentence=scores.barred),)


def _unjudged(proof: Check) -> Check:
    mend = "so it is not judged against: roll back, adopt it again, or force"
    return replace(proof, sentence=f"{proof.sentence}, {mend}")


def _beats_champion(challenger: Scorecard, champion: Scorecard) -> Check:
    passed = challenger.f1 > champion.f1
    verb = "beats" if passed else "does not beat"
    sentence = (
        f"challenger F1 {challenger.f1:.4f} {verb} champion F1 {champion.f1:.4f} "
        f"(version {champion.model_version}) on the same {champion.rows} holdout rows"
    )
    return Check("champion_f1", passed, challenger.f1, champion.f1, sentence)


def _beyond_noise(agreement: Agreement, looks: int, rule: Gate) -> tuple[Check, float]:
    """Return the check and about the smallest gain that could have passed it."""
    gained = gains(agreement)
    share, bound = win_share(gained), asked(rule.confidence, looks, agreement.rows)
    seen = float(np.quantile(gained, bound) - np.median(gained))
    since = f" after {looks} earlier looks at this holdout, {rule.confidence:.1%} at the first"
    sentence = (
        f"it wins on {share:.1%} of resampled holdouts, {bound:.1%} are asked"
        f"{since if looks else ''} "
        f"(the smallest gain that this holdout can tell from noise is about {seen:.4f})"
    )
    return Check("beyond_noise", share >= bound, share, bound, sentence), seen


def _harmless(part: SliceScore, slices: int, rule: Gate) -> Check:
    """Check that the challenger does not lose on a slice beyond noise.

    The more slices, the more is asked of each (Bonferroni): one of many loses by chance.
    """
    bound = 1 - (1 - rule.slice_harm) / slices
    share = _loss_share(part)
    passed = share <= bound
    verb = "no harm" if passed else "harm"
    sentence = (
        f"{verb} on slice {part.name}: the challenger loses on {share:.1%} of resamples of its "
        f"{part.rows} rows, {bound:.1%} are allowed"
    )
    return Check(f"slice_{part.name}", passed, share, bound, sentence, ceiling=True)


def _loss_share(part: SliceScore) -> float:
    if part.agreement is None or not part.positives:
        # No F1 can be lost where nothing is to be found.
        return 0.0
    return float(np.mean(gains(part.agreement) < 0))
