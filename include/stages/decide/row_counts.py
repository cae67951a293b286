"""Whether the holdout has enough rows of each class to judge a model on."""

from collections.abc import Mapping

from include.metrics.class_shares import HITS, MISSES
from include.records.judging import Check, Scorecard

LEAST_OF_A_CLASS = 10
"""Holdout rows of each class below which scores mean next to nothing."""


def enough_rows(card: Scorecard) -> Check:
    """Check that the holdout has enough rows of each class to judge a model on."""
    positives = int(card.figures[HITS] + card.figures[MISSES])
    counts = {"positive": positives, "negative": card.rows - positives}
    fewest, bound = min(counts.values()), LEAST_OF_A_CLASS
    sentence = (
        f"the holdout has {counts['positive']} positive and {counts['negative']} negative "
        f"rows, at least {bound} of each are needed"
    )
    if more := missing(counts):
        sentence += f": it takes {more} ones before anybody is judged by it"
    name = "rows_of_a_class"
    return Check(name, fewest >= bound, float(fewest), float(bound), sentence, inclusive=True)


def missing(counts: Mapping[str, int]) -> str:
    """Say how many more rows of each class are needed, by counts per class; empty for none."""
    least = LEAST_OF_A_CLASS
    wanting = ((least - counts[name], name) for name in ("positive", "negative"))
    return " and ".join(f"{rows} more {name}" for rows, name in wanting if rows > 0)
