"""Compares a challenger with the champion: the checks whose failure is a HOLD."""

from dataclasses import dataclass, replace
from math import ceil, log2

import numpy as np
from scipy.special import bdtr

from include.records.judging import Agreement, Check, Rival, Scorecard, Scores, SliceScore
from include.spec.model_spec import Gate
from include.stages.decide.proven import agreement_checks, leak_checks, proof_of
from include.stages.decide.resampling import gains, required_win_share, win_share
from include.stages.decide.swaps import swaps

FEW_DISAGREEMENTS = 20
"""With fewer rows that the two call differently, all swaps of their calls are counted: the
bootstrap is too confident on so few rows."""
_Judged = tuple[float, float | None, str]
"""The share that the challenger won, the smallest gain that could pass, and both in a sentence."""


@dataclass(frozen=True)
class Comparison:
    """The checks of challenger against champion."""

    checks: tuple[Check, ...]
    smallest_gain: float | None = None
    """The smallest gain in F1, about, that this holdout can tell from noise; None when the two are
    not compared."""


def compare(scores: Scores, rule: Gate) -> Comparison:
    """Check the pair; without a champion that can answer, only whether the challenger is barred.

    A champion that may have been fitted on holdout rows is not compared with: its scores mean
    nothing.
    """
    checks = _barred(scores)
    if not isinstance(scores.opponent, Rival):
        return Comparison(checks)
    champion = scores.opponent.card
    proof = leak_checks(scores, "champion", champion.model_version)
    if not proof.passed:
        waits = proof_of(scores, champion.model_version).waits
        return Comparison((*checks, _unjudged(proof, waits=waits)))
    better = _beats_champion(scores.challenger, champion)
    noise_check, smallest_gain = _beyond_noise(scores.opponent.agreement, scores.looks, rule)
    harms = (_harmless(part, len(scores.slices), rule) for part in scores.slices)
    agreed = agreement_checks(scores, "champion", champion.model_version)
    return Comparison((*checks, proof, *agreed, better, noise_check, *harms), smallest_gain)


def _barred(scores: Scores) -> tuple[Check, ...]:
    if not scores.barred:
        return ()
    return (Check("barred", passed=False, value=1.0, bound=0.0, sentence=scores.barred),)


def _unjudged(proof: Check, *, waits: bool) -> Check:
    mend = "so it is not judged against: roll back, adopt it again, or force"
    if waits:
        mend = "until then it is not judged against: wait, roll back, or force"
    return replace(proof, sentence=f"{proof.sentence}, {mend}")


def _beats_champion(challenger: Scorecard, champion: Scorecard) -> Check:
    passed = challenger.f1 > champion.f1
    verb = "beats" if passed else "does not beat"
    sentence = (
        f"challenger F1 {challenger.f1:.4f} {verb} champion F1 {champion.f1:.4f} "
        f"(version {champion.model_version}) on the same {champion.rows} holdout rows"
    )
    return Check("champion_f1", passed, challenger.f1, champion.f1, sentence)


def _beyond_noise(agreement: Agreement, looks: int, rule: Gate) -> tuple[Check, float | None]:
    """Return the check, and about the smallest gain that could have passed it."""
    bound = required_win_share(rule.confidence, looks, agreement.rows)
    since = f" after {looks} earlier looks at this holdout, {rule.confidence:.1%} at the first"
    wanted = f"{bound:.1%} are asked{since if looks else ''}"
    judged = _by_swaps if agreement.disagreements < FEW_DISAGREEMENTS else _by_resampling
    share, smallest_gain, sentence = judged(agreement, bound, wanted)
    passed = share >= bound
    return Check("beyond_noise", passed, share, bound, sentence, inclusive=True), smallest_gain


def _by_resampling(agreement: Agreement, bound: float, wanted: str) -> _Judged:
    gained = gains(agreement)
    share = win_share(gained)
    # How far the gains spread above their middle: a gain of this size would be positive on the
    # required share of resamples.
    smallest_gain = float(np.quantile(gained, bound) - np.median(gained))
    sentence = (
        f"it wins on {share:.1%} of resampled holdouts, {wanted} "
        f"(the smallest gain that this holdout can tell from noise is about {smallest_gain:.4f})"
    )
    return share, smallest_gain, sentence


def _by_swaps(agreement: Agreement, bound: float, wanted: str) -> _Judged:
    swapped = swaps(agreement)
    smallest_gain = swapped.smallest_gain(bound)
    # d swaps have 2^d ways, of which one at least is as large: 1 - 2^-d >= 0.95 takes 5 rows.
    least = ceil(-log2(1 - bound))
    noise = (
        f"no gain on so few rows can be told from noise, at least {least} have to differ"
        if smallest_gain is None
        else f"the smallest gain that these rows can tell from noise is about {smallest_gain:.4f}"
    )
    sentence = (
        f"its gain is larger than in {swapped.smaller:.1%} of all ways to swap the two models' "
        f"calls where they differ (rows: {agreement.disagreements}), {wanted} ({noise})"
    )
    return swapped.smaller, smallest_gain, sentence


def _harmless(part: SliceScore, slices: int, rule: Gate) -> Check:
    """Check that the challenger does not lose on a slice beyond noise.

    The more slices there are, the surer a loss has to be (Bonferroni), because one of many loses by
    chance: at 0.95 and 5 slices the bound of each is 1 - 0.05 / 5 = 0.99.
    """
    bound = 1 - (1 - rule.slice_harm) / slices
    share, how = _loss(part)
    passed = share <= bound
    verb = "no harm" if passed else "harm"
    sentence = f"{verb} on slice {part.name}: {how}, {bound:.1%} are allowed"
    return Check(f"slice_{part.name}", passed, share, bound, sentence, ceiling=True)


def _loss(part: SliceScore) -> tuple[float, str]:
    """Return how sure it is that the challenger loses on a slice, and how that is known in words.

    Where no row is positive, or neither model calls a positive row positive, every F1 is 0 and the
    false calls are compared: of those that only one of the two makes, each would make half by
    chance (the sign test).
    """
    agreement = part.agreement or Agreement.none()
    if not agreement.has_hits:
        mine, theirs = agreement.false_calls
        share = _more_than_half(*agreement.negatives[1:3])
        return share, (
            f"of its {part.rows} rows, {_without_hits(part)}, the challenger calls {mine} "
            f"positive, the champion {theirs}: more than by chance in {share:.1%} of all cases"
        )
    if agreement.disagreements < FEW_DISAGREEMENTS:
        share = swaps(agreement).larger
        return share, (
            f"the challenger's loss is larger than in {share:.1%} of all ways to swap the two "
            f"models' calls where they differ (rows: {agreement.disagreements} of {part.rows})"
        )
    share = float(np.mean(gains(agreement) < 0))
    return share, f"the challenger loses on {share:.1%} of resamples of its {part.rows} rows"


def _without_hits(part: SliceScore) -> str:
    if not part.positives:
        return "none of them positive"
    return f"{part.positives} of them positive and found by neither"


def _more_than_half(mine: int, theirs: int) -> float:
    """Return how likely a fair coin gives fewer than `mine` of `mine + theirs` false calls.

    Example: 6 of 7 gives P(X <= 5) = 1 - 8 / 128 = 0.9375.
    """
    return float(bdtr(mine - 1, mine + theirs, 0.5)) if mine else 0.0
