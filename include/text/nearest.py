"""Finds what somebody probably meant: the nearest name, the same text written otherwise."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

_MOST = 3
"""Names that are suggested at most."""
_ALIKE = 0.6
"""Similarity, from 0 to 1, from which names count as near (the ratio of `difflib`)."""
_UNSEEN = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp"})
"""Unicode categories of characters that cannot be seen."""


def nearest_name(word: str, known: Iterable[str], alike: float = _ALIKE) -> str | None:
    """Return the known word that is nearest to a mistyped one, None when none is near."""
    return next(iter(_close(word, known, 1, alike)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence with the nearest known words; empty when none is near."""
    return suggestion(*_close(word, known, _MOST, _ALIKE))


def suggestion(*names: str | None) -> str:
    """Return the end of a sentence that suggests names; empty when there are none."""
    near = " or ".join(filter(None, names))
    return f"; did you mean {near}?" if near else ""


def _close(word: str, known: Iterable[str], most: int, alike: float) -> list[str]:
    by_letters: dict[str, list[str]] = {}
    for name in sorted(set(known)):
        by_letters.setdefault(name.casefold(), []).append(name)
    close = get_close_matches(word.casefold(), by_letters, most, alike)
    return [name for letters in close for name in by_letters[letters]][:most]


def without_unseen(text: str) -> str:
    """Return a text without marks of direction and the like, which take no room on a screen."""
    if text.isascii():
        return text
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def plainest(text: str) -> str:
    """Return a text without differences of case, width and spaces, for comparing it."""
    letters = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in letters if unicodedata.category(letter) not in _UNSEEN)
