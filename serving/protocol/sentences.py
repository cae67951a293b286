"""The sentences that refuse a request: what came, cut to a bounded length, and what to send."""

from collections.abc import Sequence
from difflib import get_close_matches

from serving.bundle import Layout
from serving.refusals import RequestRefusedError
from serving.values.datatypes import TEXT
from serving.values.notation import example

_CLIP = 60
_SHOWN = 3
_COMPARED = 500
"""Most features that a mistyped name is compared with, to keep refusals cheap."""


def refusal(sentence: str, layout: Layout) -> RequestRefusedError:
    """Return a refusal that says what came and what a model of this layout expects."""
    return RequestRefusedError(400, f"{sentence}. Expected {_expected(layout)}.")


def too_many(rows: int | str, limit: int) -> RequestRefusedError:
    """Return the refusal of a request with more rows than one may have."""
    return RequestRefusedError(
        413, f"{rows} rows came and at most {limit} may; send the rows in several requests"
    )


def reason(error: Exception) -> str:
    """Return what is wrong with JSON that could not be decoded."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def listed(names: Sequence[str]) -> str:
    """Return the first names, cut to a bounded length."""
    shown = ", ".join(clip(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... ({len(names)} in all)"


def written(layout: Layout) -> str:
    """Return which texts the features with a notation take as well, or ""."""
    forms = [f"{example(notation)} for {name}" for name, notation in layout.notations.items()]
    return f", or texts such as {listed(forms)}" if forms else ""


def nearest_feature(name: str, layout: Layout) -> str:
    """Return, in brackets, the feature that a mistyped name is nearest to, if any."""
    by_letters = {known.casefold(): known for known in layout.features[:_COMPARED]}
    close = get_close_matches(name[:_CLIP].casefold(), by_letters, n=1)
    return f" (did you mean {clip(by_letters[close[0]])}?)" if close else ""


def clip(value: object) -> str:
    """Return a value as text, cut to a bounded length."""
    text = str(value)
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}..."


def _expected(layout: Layout) -> str:
    numbers = "datatype FP64, FP32, FP16, INT or UINT (8 to 64 bits), BOOL, and finite numbers"
    missing = listed(layout.missing)
    null = f"; null only where a value is missing, in {missing} (in binary data NaN)"
    names, count = listed(layout.features), len(layout.features)
    if not layout.categories:
        form = (
            f"one input of shape [n, {count}] with {numbers} in the order {names}, or one input of "
            "shape [n] or [n, 1] for each of these names"
        )
    else:
        form = (
            f"one input of shape [n] or [n, 1] for each of {names}: with datatype {TEXT} and "
            f"strings for the categories of {listed(tuple(layout.categories))}, with {numbers} for "
            "any other"
        )
    form += f"{written(layout)} (datatype {TEXT})" * bool(layout.notations)
    return form + null if layout.missing else form
