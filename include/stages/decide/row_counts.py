"""Whether the holdout has enough rows of each class to judge a model on."""

from collections.abc import Mapping

from include.problems import problem_named
from include.records.judging import Check, Scores

LEAST_OF_A_CLASS = 10
"""Holdout rows of each class below which scores mean next to nothing."""


def enough_rows(scores: Scores) -> Check:
    """Check that the holdout has enough rows of each class to judge a model on."""
    counts = problem_named(scores.problem).strata(scores.challenger.numbers())
    fewest, bound = min(counts.values()), LEAST_OF_A_CLASS
    sentence = f"the holdout has {in_words(counts)} rows, at least {bound} of each are needed"
    if more := missing(counts):
        sentence += f": it takes {more} ones before anybody is judged by it"
    name = "rows_of_a_class"
    return Check(name, fewest >= bound, float(fewest), float(bound), sentence, inclusive=True)


def in_words(counts: Mapping[str, int]) -> str:
    """Return rows of each class for a person: `2 positive and 8 negative`."""
    # The positive class first, as people say it.
    return " and ".join(f"{rows} {name}" for name, rows in sorted(counts.items(), reverse=True))


def missing(counts: Mapping[str, int]) -> str:
    """Say how many more rows of each class are needed, by counts per class; empty for none."""
    least = LEAST_OF_A_CLASS
    wanting = ((least - rows, name) for name, rows in sorted(counts.items(), reverse=True))
    return " and ".join(f"{rows} more {name}" for rows, name in wanting if rows > 0)
