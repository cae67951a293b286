"""Mistakes of two models, compared on rows that a metric says nothing of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistakes:
    """Mistakes of a kind that both models made on the same rows."""

    kind: str
    """In the plural, as `false calls`."""
    sentence: str
    """How many either made, and why these are counted, within a sentence."""
    challenger: int
    champion: int
    alone: tuple[int, int]
    """Those that only the challenger made, and those that only the champion made."""

    @property
    def more_than_by_chance(self) -> float:
        """How likely a fair coin gives the challenger fewer of those that one alone made.

        Example: 6 of 7 gives P(X <= 5) = 1 - 8 / 128 = 0.9375.
        """
        from scipy.special import bdtr

        mine, theirs = self.alone
        return float(bdtr(mine - 1, mine + theirs, 0.5)) if mine else 0.0
