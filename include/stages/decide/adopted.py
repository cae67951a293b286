"""Decides whether an adopted model is judged on every holdout row or only on later ones.

What a model from elsewhere was fitted on is known from its operator alone: ten rows can be named
for a model that has memorised the whole holdout. It cannot know rows that came after its adoption.
So rows from before it count only where the rows that it names are train rows of the table, none of
them in the holdout, and its F1 on the older rows is not above its F1 on the later rows beyond
noise.
"""

import numpy as np
from numpy.typing import NDArray

from include.records.judging import Check
from include.records.proofs import AdoptionGround, CallCounts
from include.stages.decide.row_counts import LEAST_OF_A_CLASS

KNOWN_SHARE = 0.95
"""The share of the rows it names that have to be train rows of the table."""
MOST_FALLS = 0.9
"""The largest share of resamples on which its F1 may be lower on the later rows. An honest model
that falls by chance is judged on the later rows alone, which costs it nothing but rows."""
_DRAWS = 10_000
# A decision made again from the same scores has to come out the same.
_SEED = 0


def counts_everywhere(ground: AdoptionGround) -> bool:
    """Say whether holdout rows from before its adoption count."""
    check = agreement("", ground)
    return check is not None and check.passed


def names_known_rows(ground: AdoptionGround) -> bool:
    """Say whether the rows that it names are rows that it may have been fitted on."""
    return not ground.shared_rows and ground.known_share >= KNOWN_SHARE


def agreement(contender: str, ground: AdoptionGround) -> Check | None:
    """Check that F1 on older holdout rows is not above F1 on later ones beyond noise.

    None where the two are not compared: one is missing, or has fewer than `LEAST_OF_A_CLASS` rows
    of a class.
    """
    older, later = ground.older, ground.later
    if older is None or later is None or not (_enough(older) and _enough(later)):
        return None
    share = _falls(older, later)
    passed = share <= MOST_FALLS
    verb = "agrees with" if passed else "is above"
    sentence = (
        f"F1 of the adopted {contender} on the {older.rows} holdout rows from before its adoption, "
        f"{older.f1:.4f}, {verb} the {later.f1:.4f} on the {later.rows} since: it is higher there "
        f"on {share:.1%} of resamples, {MOST_FALLS:.1%} are allowed"
    )
    return Check(f"{contender}_agreement", passed, share, MOST_FALLS, sentence, ceiling=True)


def grounds(title: str, ground: AdoptionGround) -> str:
    """Say which holdout rows an adopted model is judged on, and why."""
    if counts_everywhere(ground):
        return (
            f"{title} was adopted with {ground.named_rows} rows that it was fitted on, "
            f"{ground.known_share:.1%} of them train rows of the table, none of them in the holdout"
        )
    return (
        f"{title} was adopted at data version {ground.data_version} and is judged on holdout rows "
        f"that came after that alone, none of them among the rows it was fitted on: "
        f"{reservation(ground)}"
    )


def reservation(ground: AdoptionGround) -> str:
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
    check = agreement("model", ground)
    return "older and later rows are too few to compare it on" if check is None else check.sentence


def _enough(counts: CallCounts) -> bool:
    return min(counts.positives, counts.rows - counts.positives) >= LEAST_OF_A_CLASS


def _falls(older: CallCounts, later: CallCounts) -> float:
    """Return the share of resamples on which F1 is higher on the older rows; a tie is half.

    Example: 40 hits, 10 misses and 10 false calls on older rows (F1 0.800), 30, 20 and 10 on as
    many later rows (F1 0.667) give 0.971, more than `MOST_FALLS` allows.
    """
    rng = np.random.default_rng(_SEED)
    before, since = _drawn(rng, older), _drawn(rng, later)
    return float(np.mean(before > since) + np.mean(before == since) / 2)


def _drawn(rng: np.random.Generator, counts: CallCounts) -> NDArray[np.float64]:
    """Return F1 on resampled rows, shape (draws,).

    F1 depends on four counts alone, and drawing rows with replacement makes these a multinomial.
    """
    cells = np.array([counts.hits, counts.misses, counts.false_calls, counts.rest], np.float64)
    drawn = rng.multinomial(counts.rows, cells / counts.rows, size=_DRAWS)
    hits, misses, false_calls = drawn[:, 0], drawn[:, 1], drawn[:, 2]
    f1: NDArray[np.float64] = 2.0 * hits / np.maximum(2 * hits + misses + false_calls, 1)
    return f1
