"""The parameters that a family sets, and the classes that they belong to.

Each name is followed from its step inwards to the class that has the parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.learners import learner_of_path
from include.spec.estimators import ESTIMATOR_VALUED, is_path, parameters, paths
from include.spec.parameter_values import value_text
from include.text.nearest import nearest_name, suggestion

LISTED = ("estimators", "transformer_list", "transformers")
"""Parameters whose value is a list of named estimators."""


@dataclass(frozen=True)
class Owner:
    """The classes that the parameters below a prefix belong to."""

    classes: tuple[str, ...] = ()
    """A candidate has one of them; empty where the spec names none that is supported."""
    problem: str = ""
    """Why nothing at this prefix has parameters."""


@dataclass(frozen=True)
class FamilyParameters:
    """A family: its steps by name, and the values that each parameter may get."""

    steps: Mapping[str, str]
    given: Mapping[str, Sequence[Any]]

    def owner(self, prefix: str) -> Owner:
        """Follow a prefix from its step to the classes at that place."""
        first, *inner = prefix.split("__")
        owner = _owner_among(first, self.given.get(first, (self.steps[first],)))
        path = first
        for name in inner:
            if owner.problem or not owner.classes:
                return owner
            owner, path = self._inside(path, name, owner), f"{path}__{name}"
        return owner

    def entries(self, path: str) -> Mapping[str, tuple[str, list[str]]]:
        """Return the named entries of lists at a path: the list's parameter, and the values."""
        entries: dict[str, tuple[str, list[str]]] = {}
        for parameter in LISTED:
            for value in self.given.get(f"{path}__{parameter}", ()):
                for entry in filter(is_entry, value if isinstance(value, list | tuple) else ()):
                    entries.setdefault(entry[0], (parameter, []))[1].append(entry[1])
        return entries

    def _inside(self, path: str, name: str, owner: Owner) -> Owner:
        whole = f"{path}__{name}"
        entries = self.entries(path)
        if name in entries:
            return _owner_among(whole, self.given.get(whole, entries[name][1]))
        if name not in {known for cls in owner.classes for known in parameters(cls)}:
            return Owner(problem=no_such_parameter(owner.classes[-1], name))
        if name not in ESTIMATOR_VALUED or name in LISTED:
            return Owner(problem=f"{name} of {owner.classes[-1]} has no parameters of its own")
        if whole not in self.given:
            return Owner(problem=f"{whole} is not set, so there is nothing that could have it")
        return _owner_among(whole, self.given[whole])


def _owner_among(prefix: str, values: Sequence[Any]) -> Owner:
    """Return the classes at a place that may hold these values."""
    for value in values:
        if not (isinstance(value, str) and is_path(value)):
            return Owner(problem=f"{prefix} may be {value_text(value)}, which has no parameters")
    return Owner(tuple(dict.fromkeys(value for value in values if value in paths())))


def is_entry(entry: Any) -> bool:
    """Return whether a value is a named estimator of a list: a name and an import path."""
    if not isinstance(entry, list | tuple) or len(entry) < 2:  # noqa: PLR2004 - a name and a class
        return False
    return isinstance(entry[0], str) and isinstance(entry[1], str)


def no_such_parameter(cls: str, parameter: str) -> str:
    """Return the sentence about a parameter that a class does not have."""
    learner = learner_of_path(cls)
    other = learner.native_names.get(parameter, "") if learner else ""
    meant = other or nearest_name(parameter, parameters(cls))
    return f"{cls} has no parameter '{parameter}'{suggestion(meant)}"
