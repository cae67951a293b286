"""The values that a parameter accepts, as plain data that needs no learning library.

    [{"type": "int", "low": 1, "high": null, "closed": "left"}, {"texts": ["sqrt", "log2"]}]

is a whole number from 1, or one of two texts: a value has to meet one alternative. None in place of
the list accepts everything; an empty list accepts nothing that a file can express. The values are
those of TOML, and the alternatives mean what scikit-learn's own constraints mean, so true counts as
the number 1 unless the alternative is `strict`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from include.learners.estimator_lists import ESTIMATOR, Alternative, Alternatives
from include.text.nearest import nearest_name

_LONGEST_SHOWN = 80
_TYPES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "real": (int, float),
    "float": (float,),
    "text": (str,),
    "list": (list, tuple),
    "table": (dict,),
    "many": (list, tuple, dict),
    ESTIMATOR: (),
}
_WORDS: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "real": "a number",
    "float": "a number with a decimal point",
    "text": "a text",
    "list": "a list",
    "table": "a table",
    "many": "a list",
    ESTIMATOR: "an estimator's import path",
}


def accepts(alternatives: Alternatives, value: Any) -> bool:
    """Say whether a value meets one of the alternatives."""
    return alternatives is None or any(_meets(alternative, value) for alternative in alternatives)


def described_values(alternatives: Alternatives) -> str:
    """Describe in words the values that a parameter accepts."""
    words = dict.fromkeys(
        word for alternative in alternatives or () for word in _words(alternative)
    )
    return _either(list(words)) if words else "nothing that a spec can say"


def nearest_text(alternatives: Alternatives, value: Any) -> str | None:
    """Return the text among the alternatives that is nearest to a mistyped one, else None."""
    texts = [
        text
        for alternative in alternatives or ()
        if isinstance(alternative, Mapping)
        for text in alternative.get("texts", ())
    ]
    return nearest_name(value, texts) if isinstance(value, str) else None


def value_text(value: Any) -> str:
    """Return a value about as a spec writes it, cut to the length of a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."


def _meets(alternative: Alternative, value: Any) -> bool:
    kind = alternative if isinstance(alternative, str) else alternative.get("type", "text")
    if not isinstance(value, _TYPES[kind]):
        return False
    if isinstance(alternative, str):
        return True
    listed: Sequence[Any] | None = alternative.get("texts") or alternative.get("values")
    return _lies_in(alternative, value) if listed is None else value in listed


def _lies_in(interval: Mapping[str, Any], value: Any) -> bool:
    unordered = isinstance(value, float) and math.isnan(value)
    if unordered or (interval.get("strict") and isinstance(value, bool)):
        return False
    low, high = _bounds(interval)
    above: bool = low <= value if interval["closed"] in {"left", "both"} else low < value
    below: bool = value <= high if interval["closed"] in {"right", "both"} else value < high
    return above and below


def _bounds(interval: Mapping[str, Any]) -> tuple[float, float]:
    low, high = interval["low"], interval["high"]
    return -math.inf if low is None else low, math.inf if high is None else high


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _words(alternative: Alternative) -> list[str]:
    if isinstance(alternative, str):
        return [_WORDS[alternative]]
    if "texts" in alternative or "values" in alternative:
        return [value_text(value) for value in alternative.get("texts") or alternative["values"]]
    return [f"{_WORDS[alternative['type']]}{_span(alternative)}"]


def _span(interval: Mapping[str, Any]) -> str:
    low, high, closed = interval["low"], interval["high"], interval["closed"]
    lowest = "from" if closed in {"left", "both"} else "above"
    highest = "to" if closed in {"right", "both"} else "below"
    return "".join(
        f" {word} {bound:g}"
        for word, bound in ((lowest, low), (highest, high))
        if bound is not None
    )
