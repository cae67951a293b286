"""Checks that a family of a spec can be built and fitted, without loading a learning library.

A candidate of a family is a pipeline on which the parameters of the spec are set by their names:
`step__parameter`, or deeper where a parameter is an estimator itself. Each name is followed from
the step inwards to the class that has the parameter, and each value is compared with what that
class accepts.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from include.spec.estimators import (
    CLASSIFIERS,
    KERNELS,
    PROBABILITIES_BY,
    TRANSFORM_TOO,
    WITHOUT_PROBABILITIES,
    is_path,
    parameters,
    paths,
    required_parameters,
    step_names,
    unsupported_message,
)
from include.spec.family_parameters import FamilyParameters, no_such_parameter
from include.spec.parameter_values import value_text
from include.spec.value_check import (
    entry_problems,
    estimator_problems,
    is_left_out,
    path_problems,
    takes_estimators,
    value_problems,
)
from include.text.nearest import suggestion

_ALIKE = 0.6
_CALIBRATED = "put it into sklearn.calibration.CalibratedClassifierCV"


def family_problems(
    pipeline: Sequence[str], params: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    """Yield a sentence for each thing that keeps candidates of a family from being fitted.

    `params` are the parameters that all candidates share, `grid` the values of those that differ.
    """
    if wrong := [path for path in pipeline if path not in paths()]:
        yield from map(unsupported_message, wrong)
        return
    for name in sorted(params.keys() & grid.keys()):
        yield f"{name} is in params and in grid, and only the grid counts; remove it from params"
    family = FamilyParameters(
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


def _without_probabilities(family: FamilyParameters) -> Iterator[str]:
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


def _incomplete(family: FamilyParameters) -> Iterator[str]:
    for step, path in family.steps.items():
        for parameter in required_parameters(path):
            if step not in family.given and f"{step}__{parameter}" not in family.given:
                yield f"{path} cannot be fitted without {step}__{parameter}"


def _of_parameter(family: FamilyParameters, name: str, values: Sequence[Any]) -> Iterator[str]:
    prefix, _, parameter = name.rpartition("__")
    first = name.partition("__")[0]
    if first not in family.steps:
        steps = ", ".join(f"'{step}'" for step in family.steps)
        meant = suggestion(_elsewhere(family, parameter))
        yield f"there is no step '{first}', but {steps}{meant}"
    elif not prefix:
        yield from _of_step(family, name, values)
    else:
        owner = family.owner(prefix)
        if owner.problem:
            yield owner.problem
        for cls in owner.classes:
            yield from _of_class(family, name, cls, values)


def _of_step(family: FamilyParameters, name: str, values: Sequence[Any]) -> Iterator[str]:
    """Yield what is wrong with the values that replace a step."""
    is_last = name == list(family.steps)[-1]
    for value in values:
        if isinstance(value, str) and is_path(value):
            yield from path_problems(value, "classifier" if is_last else "transformer")
        elif is_last or not is_left_out(value):
            yield f"{value_text(value)} is no class that can stand in the place of a step"


def _of_class(
    family: FamilyParameters, name: str, cls: str, values: Sequence[Any]
) -> Iterator[str]:
    """Yield what is wrong with a parameter of one class and with its values."""
    prefix, _, parameter = name.rpartition("__")
    entries = family.entries(prefix)
    if parameter in entries:
        for value in values:
            yield from entry_problems(entries[parameter][0], value)
        return
    if parameter not in parameters(cls):
        yield no_such_parameter(cls, parameter)
        return
    for value in values:
        if takes_estimators(cls, parameter):
            yield from estimator_problems(cls, parameter, value)
        else:
            yield from value_problems(cls, parameter, value)


def _elsewhere(family: FamilyParameters, parameter: str) -> str | None:
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
