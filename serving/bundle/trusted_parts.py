"""What one library adds to the parts that a model file may be made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

QualifiedName = tuple[str, str]
"""A module and a name in it."""


@dataclass(frozen=True)
class Rebuilder:
    """How one kind of object is made: from arguments, and where it has a state from that too.

    A class among the arguments comes as its dotted name.
    """

    make: Callable[..., Any]
    finish: Callable[[Any, Any], Any] | None = None
    """Takes what `make` returned and a state, and returns the object."""


@dataclass(frozen=True)
class Function:
    """Stands for a function that a transformer may have, and cannot be called itself."""

    made: Callable[..., Any]


@dataclass(frozen=True)
class TrustedParts:
    """The parts that are no class made empty and filled: those are on the list by name alone."""

    rebuilders: Mapping[QualifiedName, Rebuilder] = field(default_factory=dict)
    """What is called, each by something that looks at its arguments first."""
    arguments: frozenset[QualifiedName] = frozenset()
    """What says to a rebuilder what to make, and is never made or called by itself."""
    ignored: frozenset[QualifiedName] = frozenset()
    """Functions that a fitted model keeps and does not call: None stands for them."""
    kept: frozenset[QualifiedName] = frozenset()
    """Functions that no fit needs and bundles of older releases may hold."""
    checks: Mapping[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    """By the dotted name of a class: refuses a state whose numbers lead out of it."""
    callable_attributes: frozenset[str] = frozenset()
    """The attributes that may hold what can be called."""
    mappings: frozenset[QualifiedName] = frozenset()
    """Classes of dictionaries whose keys are attributes too."""


def nothing_yet() -> None:
    """Make nothing yet: the state that follows is all."""


def split(path: str) -> QualifiedName:
    """Return the module and the name of a dotted name."""
    module, _, name = path.rpartition(".")
    return module, name
