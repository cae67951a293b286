"""The one form of a category and of a truth, however a file or a caller spells it.

Training and server read texts with these functions, so a value is the same one wherever it comes.
"""

import re
import unicodedata
from collections.abc import Sequence

SPELLING = 2
"""How categories are spelled: 1 as 0.1.0 did, without the spaces around them; 2 as `canonical`."""
AROUND = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""Spaces that are taken off a text; what Unicode calls white space."""
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+", re.ASCII)
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "t", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "f", "n", "0", "0.0"), False),
}
TRUTH_WORDS = frozenset({"true", "false"})
"""What a truth is stored as."""
_PAIRS = (("false", "true"), ("no", "yes"), ("0", "1"), ("f", "t"), ("n", "y"))


def category_form(value: str | float, spelling: int = SPELLING) -> str:
    """Return a category's one form, for the spelling that a contract or a bundle names.

    A truth is `true` or `false`; a whole number has no fraction: 1, 1.0 and "1.0" are "1".
    """
    if isinstance(value, bool):  # which counts as an integer
        value = "true" if value else "false"
    elif not isinstance(value, str):
        value = str(float(value)) if value % 1 else str(int(value))
    return canonical(value) if spelling >= SPELLING else value.strip(AROUND)


def canonical(text: str) -> str:
    r"""Return a text without the spaces around it, in NFC, as an integer where it is one.

    True and False are in small letters. Only texts such as `-?(0|[1-9]\d*)\.0+` become
    integers: 007, 1.10 and 1e3 stay as they are.
    """
    text = text.strip(AROUND)
    if not text.isascii():
        return unicodedata.normalize("NFC", text)
    if text.casefold() in TRUTH_WORDS:
        return text.casefold()
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return text
    return "0" if whole.group(1) == "-0" else whole.group(1)


def name_of(text: str) -> str:
    """Return a column's name without the spaces around it, in NFC: one however it was typed."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def truth(text: str) -> bool | None:
    """Return what a word such as True, yes or 0 says in any case, None where it is no such word."""
    return _TRUTHS.get(text.strip(AROUND).casefold())


def truth_words(categories: Sequence[str]) -> dict[bool, str] | None:
    """Return the categories that stand for false and for true, None where they are no such pair.

    A column of truths that was trained on as text ("True" in a CSV file, say) is sent as truths by
    programs that have it as such.
    """
    by_word = {category.casefold(): category for category in categories}
    for no, yes in _PAIRS:
        if len(categories) == len(by_word) and by_word.keys() == {no, yes}:
            return {False: by_word[no], True: by_word[yes]}
    return None
