"""What a spec may say of a learner's estimators, as plain data that needs no learning library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Alternative = str | Mapping[str, Any]
Alternatives = Sequence[Alternative] | None
"""The values that a parameter accepts; `include.spec.parameter_values` says how they are read."""
ClassNames = Mapping[str, tuple[str, ...]]
"""Names of classes by the module that they are imported from."""
ESTIMATOR = "estimator"
"""The alternative for an estimator, which a spec names by its import path."""


@dataclass(frozen=True)
class EstimatorLists:
    """The classes of a learner that a spec may name, and what is special about some of them."""

    classifiers: ClassNames
    transformers: ClassNames = field(default_factory=dict)
    kernels: ClassNames = field(default_factory=dict)
    """Values of the Gaussian process's `kernel`."""
    transform_too: frozenset[str] = frozenset()
    """Classifiers that can also stand before another step."""
    without_probabilities: frozenset[str] = frozenset()
    """Classifiers that predict classes only, whatever their parameters."""
    probabilities_by: Mapping[str, tuple[str, tuple[Any, ...]]] = field(default_factory=dict)
    """Classifiers that predict probabilities only when a parameter has one of these values."""
