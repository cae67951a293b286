"""F1: the harmonic mean of precision and recall."""

from typing import Any

from include.metrics import Figures
from include.metrics.by_counts import FractionOfCounts
from include.metrics.call_counts import Agreement, Cells
from include.metrics.class_shares import positive_share
from include.metrics.mistakes import Mistakes


class _F1(FractionOfCounts):
    """2 hits / (2 hits + misses + false calls), 0 without a hit."""

    name, title = "f1", "F1"
    without_skill = "calling every row positive"

    def fraction(self, cells: Cells) -> tuple[Any, Any]:
        return 2 * cells.hits, 2 * cells.hits + cells.misses + cells.false_calls

    def no_skill(self, figures: Figures) -> float:
        """2 p / (1 + p) with p the share of positives: 0.182 at one positive in ten."""
        share = positive_share(figures)
        return 2 * share / (1 + share)

    def mistakes(self, paired: Agreement) -> Mistakes | None:
        """Without a hit of either every value is 0: then the false calls are compared."""
        if paired.has_hits:
            return None
        mine, theirs = paired.false_calls
        positives = sum(paired.positives)
        without = f"{positives} of them positive and found by neither"
        return Mistakes(
            kind="false calls",
            sentence=(
                f"{without if positives else 'none of them positive'}, the challenger calls {mine} "
                f"positive, the champion {theirs}"
            ),
            challenger=mine,
            champion=theirs,
            alone=paired.negatives[1:3],
        )


METRIC = _F1()
