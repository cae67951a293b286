"""Checks the values that a family gives to a parameter: plain ones, estimators and lists."""

from collections.abc import Iterator, Mapping
from typing import Any

from include.learners import learner_of_path
from include.learners.estimator_lists import ESTIMATOR
from include.spec.estimators import (
    CLASSIFIERS,
    KERNELS,
    TRANSFORM_TOO,
    TRANSFORMERS,
    is_path,
    nearest,
    parameters,
    paths,
    required_parameters,
    texts_within,
    unsupported_message,
)
from include.spec.family_parameters import LISTED, is_entry
from include.spec.parameter_values import (
    accepts,
    described_values,
    nearest_text,
    value_text,
)
from include.text.nearest import suggestion

_LEFT_OUT = frozenset({"drop", "passthrough"})
"""Words that may stand in the place of an estimator in such a list, or of a step."""
_TRANSFORMER_VALUED = frozenset({"remainder", "transformer_list", "transformers"})


def value_problems(cls: str, parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a plain value of a parameter."""
    texts = [text for text in texts_within(value) if learner_of_path(text)]
    yield from (f"{text} is a class, and this parameter takes none" for text in texts)
    if texts:
        return
    alternatives = parameters(cls)[parameter]
    if not accepts(alternatives, value):
        meant = suggestion(nearest_text(alternatives, value))
        yield f"{cls} takes {described_values(alternatives)}, not {value_text(value)}{meant}"
    elif parameter == "class_weight" and isinstance(value, Mapping):
        yield 'the classes are numbers and the keys of a table are texts; write "balanced"'


def estimator_problems(cls: str, parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a value of a parameter that takes an estimator, or a list."""
    wanted = _wanted(parameter)
    if parameter in LISTED:
        yield from _of_list(cls, parameter, value)
    elif isinstance(value, str) and is_path(value):
        yield from path_problems(value, wanted)
    elif not accepts(parameters(cls)[parameter], value):
        meant = nearest_text(parameters(cls)[parameter], value)
        if meant is None and isinstance(value, str):
            meant = nearest(value, _GROUPS[wanted]) if wanted in _GROUPS else None
        takes = described_values(parameters(cls)[parameter])
        yield f"{cls} takes {takes}, not {value_text(value)}{suggestion(meant)}"


def _of_list(cls: str, parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a list of named estimators."""
    entries = value if isinstance(value, list | tuple) else ()
    length = 3 if parameter == "transformers" else 2  # the columns come last
    if not entries or not all(is_entry(one) and len(one) == length for one in entries):
        example = '[["name", "import path", [0, 1]]]' if length > 2 else '[["name", "import path"]]'  # noqa: PLR2004 - as above
        yield f"{cls} takes a list such as {example}, not {value_text(value)}"
        return
    names = [entry[0] for entry in entries]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"two entries are named {name}"
        if "__" in name or name in parameters(cls):
            yield f"{name} cannot be the name of an entry, because it means something else"
    for entry in entries:
        yield from entry_problems(parameter, entry[1])


def entry_problems(parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with the estimator of an entry in a list."""
    if isinstance(value, str) and not is_left_out(value):
        yield from path_problems(value, _wanted(parameter))
    elif not isinstance(value, str):
        yield f"{value_text(value)} is no import path of an estimator"


def path_problems(path: str, wanted: str) -> Iterator[str]:
    """Yield what is wrong with a class at a place that takes one of kind `wanted`."""
    if path not in paths():
        yield unsupported_message(path)
        return
    kinds = {kind for kind, group in _GROUPS.items() if path in paths(group)}
    kinds |= {"transformer"} if path in TRANSFORM_TOO else set()
    if wanted not in kinds:
        yield f"{path} is no {wanted}, as is wanted here"
    for parameter in required_parameters(path):
        yield f"{path} cannot be made here, because it needs {parameter}"


_GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "classifier": CLASSIFIERS,
    "kernel": KERNELS,
    "transformer": TRANSFORMERS,
}


def takes_estimators(cls: str, parameter: str) -> bool:
    """Return whether a parameter of a class takes an estimator, or a list of them."""
    # Support vector machines take a text or a function as kernel, the Gaussian process an
    # estimator.
    stated = parameters(cls)[parameter] or ()
    return parameter in {*LISTED, "kernel"} or ESTIMATOR in stated


def is_left_out(value: Any) -> bool:
    """Return whether a value is a word that stands in the place of an estimator."""
    return isinstance(value, str) and value in _LEFT_OUT


def _wanted(parameter: str) -> str:
    if parameter in _TRANSFORMER_VALUED:
        return "transformer"
    return "kernel" if parameter == "kernel" else "classifier"
