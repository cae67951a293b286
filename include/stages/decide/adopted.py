"""Decides whether an adopted model is judged on every holdout row or only on later ones.

What a model from elsewhere was fitted on is known from its operator alone: ten rows can be named
for a model that has memorised the whole holdout. It cannot know rows that came after its adoption.
So rows from before it count only where the rows that it names are train rows of the table, none of
them in the holdout, and by the metric of the gate it is not better on the older rows than on the
later ones beyond noise.
"""

import numpy as np

from include.metrics import Objective
from include.metrics.evidence import Evidence
from include.problems import Criterion
from include.records.judging import Check
from include.records.proofs import AdoptionGround
from include.stages.decide.row_counts import LEAST_OF_A_CLASS

KNOWN_SHARE = 0.95
"""The share of the rows it names that have to be train rows of the table."""
MOST_FALLS = 0.9
"""The largest share of resamples on which it may be worse on the later rows. An honest model that
falls by chance is judged on the later rows alone, which costs it nothing but rows."""
_DRAWS = 10_000


def counts_everywhere(ground: AdoptionGround, criterion: Criterion) -> bool:
    """Say whether holdout rows from before its adoption count."""
    check = agreement("", ground, criterion)
    return check is not None and check.passed


def names_known_rows(ground: AdoptionGround) -> bool:
    """Say whether the rows that it names are rows that it may have been fitted on."""
    return not ground.shared_rows and ground.known_share >= KNOWN_SHARE


def agreement(contender: str, ground: AdoptionGround, criterion: Criterion) -> Check | None:
    """Check that the metric on older holdout rows is not better than on later ones beyond noise.

    None where the two are not compared: one is missing, or has fewer than `LEAST_OF_A_CLASS` rows
    of a class.
    """
    older, later, metric = ground.older, ground.later, criterion.metric
    if older is None or later is None:
        return None
    strata = criterion.problem.strata_of
    if min(*strata(older).values(), *strata(later).values()) < LEAST_OF_A_CLASS:
        return None
    share = _falls(older, later, metric)
    passed = share <= MOST_FALLS
    verb = "agrees with" if passed else metric.better_verb
    before, since = (metric.written(metric.value_of(one)) for one in (older, later))
    sentence = (
        f"{metric.title} of the adopted {contender} on the {older.rows} holdout rows from before "
        f"its adoption, {before}, {verb} the {since} on the {later.rows} since: it is "
        f"{metric.better_word} there on {share:.1%} of resamples, {MOST_FALLS:.1%} are allowed"
    )
    return Check(f"{contender}_agreement", passed, share, MOST_FALLS, sentence, ceiling=True)


def grounds(title: str, ground: AdoptionGround, criterion: Criterion) -> str:
    """Say which holdout rows an adopted model is judged on, and why."""
    if counts_everywhere(ground, criterion):
        return (
            f"{title} was adopted with {ground.named_rows} rows that it was fitted on, "
            f"{ground.known_share:.1%} of them train rows of the table, none of them in the holdout"
        )
    return (
        f"{title} was adopted at data version {ground.data_version} and is judged on holdout rows "
        f"that came after that alone, none of them among the rows it was fitted on: "
        f"{reservation(ground, criterion)}"
    )


def reservation(ground: AdoptionGround, criterion: Criterion) -> str:
    """Say why holdout rows from before its adoption do not count."""
    if ground.problem:
        return ground.problem
    if not ground.named_rows:
        return "it names no rows that it was fitted on"
    if ground.shared_rows:
        return f"of the rows that it names {ground.shared_rows} are in the holdout"
    if not names_known_rows(ground):
        return (
            f"of the {ground.named_rows} rows that it names {ground.known_share:.1%} are train "
            f"rows of the table, {KNOWN_SHARE:.1%} are asked"
        )
    check = agreement("model", ground, criterion)
    return "older and later rows are too few to compare it on" if check is None else check.sentence


def _falls(older: Evidence, later: Evidence, metric: Objective) -> float:
    """Return the share of resamples on which it is better on the older rows; a tie is half.

    Example by F1: 40 hits, 10 misses and 10 false calls on older rows (F1 0.800), 30, 20 and 10 on
    as many later rows (F1 0.667) give 0.971, more than `MOST_FALLS` allows.
    """
    before, since = map(metric.merit, metric.resampled([older, later], _DRAWS))
    return float(np.mean(before > since) + np.mean(before == since) / 2)
