"""Compares a challenger with the champion: the checks whose failure is a HOLD."""

from dataclasses import dataclass, replace
from math import ceil, log2

import numpy as np

from include.metrics import Objective, objective
from include.metrics.evidence import PairedEvidence
from include.metrics.swaps import Swaps
from include.records.judging import Check, Rival, Scorecard, Scores, SliceScore
from include.spec.model_spec import Gate
from include.stages.decide.proven import agreement_checks, leak_checks, proof_of
from include.stages.decide.wins import required_win_share, win_share

_Judged = tuple[float, float | None, str]
"""The share that the challenger won, the smallest gain that could pass, and both in a sentence."""


@dataclass(frozen=True)
class Comparison:
    """The checks of challenger against champion."""

    checks: tuple[Check, ...]
    smallest_gain: float | None = None
    """The smallest gain, about, that this holdout can tell from noise; None when the two are not
    compared."""


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
    metric = objective(scores.metric)
    better = _beats_champion(scores.challenger, champion, metric)
    evidence = scores.opponent.agreement
    noise_check, smallest_gain = _beyond_noise(evidence, scores.looks, rule, metric)
    bound = 1 - (1 - rule.slice_harm) / max(len(scores.slices), 1)
    harms = (
        _harmless(part, part.agreement, bound, metric)
        for part in scores.slices
        if part.agreement is not None
    )
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


def _beats_champion(challenger: Scorecard, champion: Scorecard, metric: Objective) -> Check:
    mine, theirs = challenger.value(metric), champion.value(metric)
    passed = metric.merit(mine) > metric.merit(theirs)
    verb = "beats" if passed else "does not beat"
    sentence = (
        f"challenger {metric.title} {metric.written(mine)} {verb} "
        f"champion {metric.title} {metric.written(theirs)} (version {champion.model_version}) on "
        f"the same {champion.rows} holdout rows"
    )
    return Check("better", passed, mine, theirs, sentence, ceiling=not metric.greater_is_better)


def _beyond_noise(
    evidence: PairedEvidence, looks: int, rule: Gate, metric: Objective
) -> tuple[Check, float | None]:
    """Return the check, and about the smallest gain that could have passed it."""
    bound = required_win_share(rule.confidence, looks, evidence.rows)
    since = f" after {looks} earlier looks at this holdout, {rule.confidence:.1%} at the first"
    wanted = f"{bound:.1%} are asked{since if looks else ''}"
    swapped = metric.exact(evidence)
    share, smallest_gain, sentence = (
        _by_resampling(evidence, bound, wanted, metric)
        if swapped is None
        else _by_swaps(swapped, bound, wanted, metric)
    )
    passed = share >= bound
    return Check("beyond_noise", passed, share, bound, sentence, inclusive=True), smallest_gain


def _by_resampling(
    evidence: PairedEvidence, bound: float, wanted: str, metric: Objective
) -> _Judged:
    gains = metric.gains(evidence)
    share = win_share(gains)
    # How far the gains spread above their middle: a gain of this size would be positive on the
    # required share of resamples.
    smallest_gain = float(np.quantile(gains, bound) - np.median(gains))
    sentence = (
        f"it wins on {share:.1%} of resampled holdouts, {wanted} (the smallest gain that this "
        f"holdout can tell from noise is about {metric.written(smallest_gain)})"
    )
    return share, smallest_gain, sentence


def _by_swaps(swapped: Swaps, bound: float, wanted: str, metric: Objective) -> _Judged:
    smallest_gain = swapped.smallest_gain(bound)
    # d swaps have 2^d ways, of which one at least is as large: 1 - 2^-d >= 0.95 takes 5 rows.
    least = ceil(-log2(1 - bound))
    noise = (
        f"no gain on so few rows can be told from noise, at least {least} have to differ"
        if smallest_gain is None
        else "the smallest gain that these rows can tell from noise is about "
        f"{metric.written(smallest_gain)}"
    )
    sentence = (
        f"its gain is larger than in {swapped.smaller:.1%} of all ways to swap the two models' "
        f"calls where they differ (rows: {swapped.rows}), {wanted} ({noise})"
    )
    return swapped.smaller, smallest_gain, sentence


def _harmless(part: SliceScore, evidence: PairedEvidence, bound: float, metric: Objective) -> Check:
    """Check that the challenger does not lose on a slice beyond noise.

    The more slices there are, the surer a loss has to be (Bonferroni), because one of many loses by
    chance: at 0.95 and 5 slices the bound of each is 1 - 0.05 / 5 = 0.99.
    """
    share, how = _loss(part, evidence, metric)
    passed = share <= bound
    verb = "no harm" if passed else "harm"
    sentence = f"{verb} on slice {part.name}: {how}, {bound:.1%} are allowed"
    return Check(f"slice_{part.name}", passed, share, bound, sentence, ceiling=True)


def _loss(part: SliceScore, evidence: PairedEvidence, metric: Objective) -> tuple[float, str]:
    """Return how sure it is that the challenger loses on a slice, and how that is known in words.

    Where the metric says nothing of its rows, mistakes are compared: of those that only one of the
    two makes, each would make half by chance (the sign test).
    """
    mistakes = metric.mistakes(evidence)
    if mistakes is not None:
        share = mistakes.more_than_by_chance
        sentence = f"of its {part.rows} rows, {mistakes.sentence}"
        return share, f"{sentence}: more than by chance in {share:.1%} of all cases"
    swapped = metric.exact(evidence)
    if swapped is not None:
        share = swapped.larger
        return share, (
            f"the challenger's loss is larger than in {share:.1%} of all ways to swap the two "
            f"models' calls where they differ (rows: {swapped.rows} of {part.rows})"
        )
    share = float(np.mean(metric.gains(evidence) < 0))
    return share, f"the challenger loses on {share:.1%} of resamples of its {part.rows} rows"
