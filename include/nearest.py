"""What somebody probably meant who mistyped a name."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST = 3


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence with the nearest known words; empty when none is near."""
    close = get_close_matches(word.lower(), sorted(known), _MOST)
    return f"; did you mean {' or '.join(close)}?" if close else ""
