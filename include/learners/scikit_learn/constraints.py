"""Reads what scikit-learn's classes declare of the values of their parameters."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from sklearn.gaussian_process.kernels import Kernel
from sklearn.utils import _param_validation as sklearn_rules

from include.learners.estimator_lists import ESTIMATOR, Alternative, Alternatives

_TYPES: Mapping[Any, str] = {
    bool: "bool",
    dict: "table",
    float: "float",
    list: "list",
    str: "text",
    tuple: "list",
    Integral: "int",
    Real: "real",
}
_LISTS = (sklearn_rules._ArrayLikes, sklearn_rules._IterablesNotString)  # noqa: SLF001 - they have no other names


def is_refused(stated: Any, value: Any) -> bool:
    """Say whether a class refuses its own default: it wants the parameter to be set."""
    if not isinstance(stated, list):
        return False
    return not any(
        sklearn_rules.make_constraint(constraint).is_satisfied_by(value) for constraint in stated
    )


def stated_values(stated: Any) -> Alternatives:
    """Return scikit-learn's constraints of a parameter as alternatives."""
    if not isinstance(stated, list):
        return None
    alternatives = [
        alternative for rule in stated for alternative in _read(sklearn_rules.make_constraint(rule))
    ]
    return [
        alternative
        for place, alternative in enumerate(alternatives)
        if alternative not in alternatives[:place]
    ]


def _read(rule: Any) -> list[Alternative]:
    """Return what of a rule a file can express: no array, no function, no missing value."""
    if hasattr(rule, "_constraints"):
        return [alternative for part in rule._constraints for alternative in _read(part)]  # noqa: SLF001 - scikit-learn's own parts of a rule
    if isinstance(rule, sklearn_rules.Interval):
        kind = "float" if rule.type is sklearn_rules.RealNotInt else _TYPES[rule.type]
        return [{"type": kind, "low": rule.left, "high": rule.right, "closed": rule.closed}]
    if isinstance(rule, sklearn_rules.Options):
        return _options(rule)
    if isinstance(rule, _LISTS):
        return ["many"]
    if isinstance(rule, sklearn_rules.HasMethods):
        return [ESTIMATOR] if "fit" in rule.methods or "transform" in rule.methods else []
    of_type = getattr(rule, "type", None)
    return [ESTIMATOR] if of_type is Kernel else [_TYPES[of_type]] if of_type in _TYPES else []


def _options(rule: Any) -> list[Alternative]:
    if rule.type is str:
        return [{"texts": sorted(rule.options)}]
    values = sorted(option for option in rule.options if isinstance(option, bool | int | float))
    return [{"type": _TYPES[rule.type], "values": values}] if values else []
