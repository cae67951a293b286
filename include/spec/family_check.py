"""Checks that a family of a spec can be built and fitted, without loading a learning library.

A candidate of a family is a pipeline on which the parameters of the spec are set by their names:
`step__parameter`, or deeper where a parameter is an estimator itself. Each name is followed from
the step inwards to the class that has the parameter, and each value is compared with what that
class accepts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from include.spec.estimators import (
    CLASSIFIERS,
    ESTIMATOR_VALUED,
    KERNELS,
    PROBABILITIES_BY,
    TRANSFORM_TOO,
    TRANSFORMERS,
    WITHOUT_PROBABILITIES,
    is_path,
    nearest,
    parameters,
    paths,
    required_parameters,
    step_names,
    texts_within,
    unsupported,
)
from include.spec.parameter_values import (
    ESTIMATOR,
    accepts,
    described_values,
    nearest_text,
    value_text,
)
from include.text.nearest import nearest_name

_LISTED = ("estimators", "transformer_list", "transformers")
"""Parameters whose value is a list of named estimators."""
_LEFT_OUT = frozenset({"drop", "passthrough"})
"""Words that may stand in the place of an estimator in such a list, or of a step."""
_TRANSFORMER_VALUED = frozenset({"remainder", "transformer_list", "transformers"})
_PACKAGES = ("sklearn.", "xgboost.", "serving.")
_NATIVE: Mapping[str, str] = {
    "alpha": "reg_alpha",
    "eta": "learning_rate",
    "lambda": "reg_lambda",
    "min_split_loss": "gamma",
    "nthread": "n_jobs",
    "num_boost_round": "n_estimators",
    "num_round": "n_estimators",
    "seed": "random_state",
}
"""XGBoost's native names of parameters that its scikit-learn classes name differently."""
_ALIKE = 0.6
_CALIBRATED = "put it into sklearn.calibration.CalibratedClassifierCV"


@dataclass(frozen=True)
class _Owner:
    """The classes that the parameters below a prefix belong to."""

    classes: tuple[str, ...] = ()
    """A candidate has one of them; empty where the spec names none that is supported."""
    problem: str = ""
    """Why nothing at this prefix has parameters."""


@dataclass(frozen=True)
class _Named:
    """A family: its steps by name, and the values that each parameter may get."""

    steps: Mapping[str, str]
    given: Mapping[str, Sequence[Any]]

    def owner(self, prefix: str) -> _Owner:
        """Follow a prefix from its step to the classes at that place."""
        first, *inner = prefix.split("__")
        owner = _standing(first, self.given.get(first, (self.steps[first],)))
        path = first
        for name in inner:
            if owner.problem or not owner.classes:
                return owner
            owner, path = self._inside(path, name, owner), f"{path}__{name}"
        return owner

    def entries(self, path: str) -> Mapping[str, tuple[str, list[str]]]:
        """Return the named entries of lists at a path: the list's parameter, and the values."""
        entries: dict[str, tuple[str, list[str]]] = {}
        for parameter in _LISTED:
            for value in self.given.get(f"{path}__{parameter}", ()):
                for entry in filter(_is_entry, value if isinstance(value, list | tuple) else ()):
                    entries.setdefault(entry[0], (parameter, []))[1].append(entry[1])
        return entries

    def _inside(self, path: str, name: str, owner: _Owner) -> _Owner:
        whole = f"{path}__{name}"
        entries = self.entries(path)
        if name in entries:
            return _standing(whole, self.given.get(whole, entries[name][1]))
        if name not in {known for cls in owner.classes for known in parameters(cls)}:
            return _Owner(problem=_no_parameter(owner.classes[-1], name))
        if name not in ESTIMATOR_VALUED or name in _LISTED:
            return _Owner(problem=f"{name} of {owner.classes[-1]} has no parameters of its own")
        if whole not in self.given:
            return _Owner(problem=f"{whole} is not set, so there is nothing that could have it")
        return _standing(whole, self.given[whole])


def family_problems(
    pipeline: Sequence[str], params: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    """Yield a sentence for each thing that keeps candidates of a family from being fitted.

    `params` are the parameters that all candidates share, `grid` the values of those that differ.
    """
    if wrong := [path for path in pipeline if path not in paths()]:
        yield from map(unsupported, wrong)
        return
    for name in sorted(params.keys() & grid.keys()):
        yield f"{name} is in params and in grid, and only the grid counts; remove it from params"
    family = _Named(
        dict(zip(step_names(pipeline), pipeline, strict=True)),
        {name: (value,) for name, value in params.items()} | dict(grid),
    )
    yield from _misplaced_steps(pipeline)
    yield from _without_probabilities(family)
    yield from _incomplete(family)
    for name, values in family.given.items():
        yield from (f"{name}: {problem}" for problem in _of_parameter(family, name, values))


def _misplaced_steps(pipeline: Sequence[str]) -> Iterator[str]:
    if pipeline[-1] not in paths(CLASSIFIERS):
        yield f"{pipeline[-1]} is no classifier, as the last of a pipeline is"
    for path in pipeline[:-1]:
        # A kernel is a value of a parameter, never a step.
        if path in paths(KERNELS):
            yield f"{path} is no step of a pipeline"
        elif path not in TRANSFORM_TOO and path in paths(CLASSIFIERS):
            yield f"{path} is a classifier, and only the last of a pipeline is one"


def _without_probabilities(family: _Named) -> Iterator[str]:
    step = list(family.steps)[-1]
    for path in family.owner(step).classes:
        if path in WITHOUT_PROBABILITIES:
            yield f"{path} gives no probabilities; {_CALIBRATED}"
        elif path in PROBABILITIES_BY:
            parameter, wanted = PROBABILITIES_BY[path]
            values = family.given.get(f"{step}__{parameter}", (None,))
            if any(value not in wanted for value in values):
                how = " or ".join(f"{step}__{parameter} = {value_text(value)}" for value in wanted)
                yield f"{path} gives no probabilities unless {how} is set; or {_CALIBRATED}"


def _incomplete(family: _Named) -> Iterator[str]:
    for step, path in family.steps.items():
        for parameter in required_parameters(path):
            if step not in family.given and f"{step}__{parameter}" not in family.given:
                yield f"{path} cannot be fitted without {step}__{parameter}"


def _of_parameter(family: _Named, name: str, values: Sequence[Any]) -> Iterator[str]:
    prefix, _, parameter = name.rpartition("__")
    first = name.partition("__")[0]
    if first not in family.steps:
        steps = ", ".join(f"'{step}'" for step in family.steps)
        yield f"there is no step '{first}', but {steps}{_meant(_elsewhere(family, parameter))}"
    elif not prefix:
        yield from _of_step(family, name, values)
    else:
        owner = family.owner(prefix)
        if owner.problem:
            yield owner.problem
        for cls in owner.classes:
            yield from _of_class(family, name, cls, values)


def _of_step(family: _Named, name: str, values: Sequence[Any]) -> Iterator[str]:
    """Yield what is wrong with the values that replace a step."""
    is_last = name == list(family.steps)[-1]
    for value in values:
        if isinstance(value, str) and is_path(value):
            yield from _of_path(value, "classifier" if is_last else "transformer")
        elif is_last or not _is_left_out(value):
            yield f"{value_text(value)} is no class that can stand in the place of a step"


def _of_class(family: _Named, name: str, cls: str, values: Sequence[Any]) -> Iterator[str]:
    """Yield what is wrong with a parameter of one class and with its values."""
    prefix, _, parameter = name.rpartition("__")
    entries = family.entries(prefix)
    if parameter in entries:
        for value in values:
            yield from _of_entry(entries[parameter][0], value)
        return
    if parameter not in parameters(cls):
        yield _no_parameter(cls, parameter)
        return
    for value in values:
        if _takes_estimators(cls, parameter):
            yield from _of_estimator(cls, parameter, value)
        else:
            yield from _of_value(cls, parameter, value)


def _of_value(cls: str, parameter: str, value: Any) -> Iterator[str]:
    texts = [text for text in texts_within(value) if text.startswith(_PACKAGES)]
    yield from (f"{text} is a class, and this parameter takes none" for text in texts)
    if texts:
        return
    alternatives = parameters(cls)[parameter]
    if not accepts(alternatives, value):
        meant = _meant(nearest_text(alternatives, value))
        yield f"{cls} takes {described_values(alternatives)}, not {value_text(value)}{meant}"
    elif parameter == "class_weight" and isinstance(value, Mapping):
        yield 'the classes are numbers and the keys of a table are texts; write "balanced"'


def _of_estimator(cls: str, parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a value of a parameter that takes an estimator, or a list."""
    wanted = _wanted(parameter)
    if parameter in _LISTED:
        yield from _of_list(cls, parameter, value)
    elif isinstance(value, str) and is_path(value):
        yield from _of_path(value, wanted)
    elif not accepts(parameters(cls)[parameter], value):
        meant = nearest_text(parameters(cls)[parameter], value)
        if meant is None and isinstance(value, str):
            meant = nearest(value, _GROUPS[wanted]) if wanted in _GROUPS else None
        takes = described_values(parameters(cls)[parameter])
        yield f"{cls} takes {takes}, not {value_text(value)}{_meant(meant)}"


def _of_list(cls: str, parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a list of named estimators."""
    entries = value if isinstance(value, list | tuple) else ()
    length = 3 if parameter == "transformers" else 2  # the columns come last
    if not entries or not all(_is_entry(one) and len(one) == length for one in entries):
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
        yield from _of_entry(parameter, entry[1])


def _of_entry(parameter: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with the estimator of an entry in a list."""
    if isinstance(value, str) and not _is_left_out(value):
        yield from _of_path(value, _wanted(parameter))
    elif not isinstance(value, str):
        yield f"{value_text(value)} is no import path of an estimator"


def _of_path(path: str, wanted: str) -> Iterator[str]:
    """Yield what is wrong with a class at a place that takes one of kind `wanted`."""
    if path not in paths():
        yield unsupported(path)
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


def _takes_estimators(cls: str, parameter: str) -> bool:
    # Support vector machines take a text or a function as kernel, the Gaussian process an
    # estimator.
    stated = parameters(cls)[parameter] or ()
    return parameter in {*_LISTED, "kernel"} or ESTIMATOR in stated


def _is_left_out(value: Any) -> bool:
    return isinstance(value, str) and value in _LEFT_OUT


def _wanted(parameter: str) -> str:
    if parameter in _TRANSFORMER_VALUED:
        return "transformer"
    return "kernel" if parameter == "kernel" else "classifier"


def _standing(prefix: str, values: Sequence[Any]) -> _Owner:
    """Return the classes at a place that may hold these values."""
    for value in values:
        if not (isinstance(value, str) and is_path(value)):
            return _Owner(problem=f"{prefix} may be {value_text(value)}, which has no parameters")
    return _Owner(tuple(dict.fromkeys(value for value in values if value in paths())))


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, list | tuple) or len(entry) < 2:  # noqa: PLR2004 - a name and a class
        return False
    return isinstance(entry[0], str) and isinstance(entry[1], str)


def _no_parameter(cls: str, parameter: str) -> str:
    other = _NATIVE.get(parameter, "") if cls.startswith("xgboost.") else ""
    meant = other or nearest_name(parameter, parameters(cls))
    return f"{cls} has no parameter '{parameter}'{_meant(meant)}"


def _elsewhere(family: _Named, parameter: str) -> str | None:
    """Return the full name of the step parameter that is most similar; None without one."""
    known = [
        (step, parameter_name)
        for step, path in family.steps.items()
        for parameter_name in parameters(path)
    ]
    if not known:
        return None
    step, nearest_one = max(known, key=lambda item: _likeness(item[1], parameter))
    return f"{step}__{nearest_one}" if _likeness(nearest_one, parameter) > _ALIKE else None


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, word.casefold(), other.casefold()).ratio()


def _meant(nearest_one: str | None) -> str:
    return f"; did you mean {nearest_one}?" if nearest_one else ""
