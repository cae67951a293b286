"""Reads which parameters the installed classes take: the content of `estimators.json`.

scikit-learn's classes declare the values of their parameters and check them when they are fitted.
XGBoost checks in compiled code, and only then, so its table is written here.
"""

from collections.abc import Mapping
from inspect import signature
from numbers import Integral, Real
from typing import Any

from sklearn.gaussian_process.kernels import Kernel
from sklearn.utils import _param_validation as sklearn_rules
from sklearn.utils.discovery import all_estimators

from include.spec.estimators import WITHHELD, paths, resolve
from include.spec.parameter_values import ESTIMATOR, Alternative, Alternatives

_DROPOUT = {"normalize_type", "one_drop", "rate_drop", "sample_type", "skip_drop"}
"""Parameters of XGBoost's dart booster, which its class accepts but does not list."""


def _number(kind: str, low: float | None, high: float | None = None) -> Alternatives:
    closed = "both" if high is not None else "left"
    return [{"type": kind, "low": low, "high": high, "closed": closed, "strict": True}]


def _texts(*texts: str) -> Alternatives:
    return [{"texts": sorted(texts)}]


_FROM_0, _SHARE = _number("real", 0), _number("real", 0, 1)
_COUNT, _COUNT_FROM_1, _WHOLE = _number("int", 0), _number("int", 1), _number("int", None)
_XGBOOST: Mapping[str, Alternatives] = {
    "base_score": [*(_SHARE or ()), "list"],
    "booster": _texts("gbtree", "gblinear", "dart"),
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "colsample_bytree": _SHARE,
    "device": ["text"],
    # Early stopping needs validation rows, which no fit here is given.
    "early_stopping_rounds": [{"type": "int", "values": [0]}],
    "enable_categorical": ["bool"],
    "eval_metric": ["text", "list"],
    "feature_types": ["list"],
    "feature_weights": ["list"],
    "gamma": _FROM_0,
    "grow_policy": _texts("depthwise", "lossguide"),
    "importance_type": _texts("gain", "weight", "cover", "total_gain", "total_cover"),
    "interaction_constraints": ["text"],
    "learning_rate": _FROM_0,
    "max_bin": _number("int", 2),
    "max_cat_threshold": _COUNT_FROM_1,
    "max_cat_to_onehot": _COUNT_FROM_1,
    "max_delta_step": _FROM_0,
    "max_depth": _COUNT,
    "max_leaves": _COUNT,
    "min_child_weight": _FROM_0,
    "missing": _number("real", None),
    "monotone_constraints": ["text"],
    "multi_strategy": _texts("one_output_per_tree", "multi_output_tree"),
    "n_estimators": _COUNT_FROM_1,
    "n_jobs": _WHOLE,
    "normalize_type": _texts("tree", "forest"),
    "num_parallel_tree": _COUNT_FROM_1,
    # Only those for two classes; the others are for regression, ranking and more classes.
    "objective": _texts("binary:logistic", "binary:hinge", "reg:logistic"),
    "one_drop": ["bool", {"type": "int", "values": [0, 1]}],
    "random_state": _WHOLE,
    "rate_drop": _SHARE,
    "reg_alpha": _FROM_0,
    "reg_lambda": _FROM_0,
    "sample_type": _texts("uniform", "weighted"),
    "sampling_method": _texts("uniform", "gradient_based"),
    "scale_pos_weight": _FROM_0,
    "skip_drop": _SHARE,
    "subsample": _SHARE,
    "tree_method": _texts("auto", "exact", "approx", "hist"),
    "validate_parameters": ["bool"],
    "verbosity": _number("int", 0, 3),
}
_OWN: Mapping[str, Mapping[str, Alternatives]] = {
    "serving.bundle.ValueFrequency": {"append": ["bool"]},
    "sklearn.pipeline.FeatureUnion": {
        "n_jobs": ["int"],
        "transformer_list": ["list"],
        "transformer_weights": ["table"],
        "verbose": ["bool"],
        "verbose_feature_names_out": ["bool", "text"],
    },
    "xgboost.XGBClassifier": _XGBOOST,
    "xgboost.XGBRFClassifier": _XGBOOST,
}
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


def signatures() -> dict[str, Any]:
    """Return the parameters of every supported class with their values, and all regressors."""
    return {
        "parameters": {path: _parameters(path) for path in paths()},
        "regressors": sorted(
            [name for name, _ in all_estimators("regressor")] + ["XGBRegressor", "XGBRFRegressor"]
        ),
        "required": {path: needed for path in paths() if (needed := _required(path))},
    }


def _parameters(path: str) -> dict[str, Alternatives]:
    cls = resolve(path)
    names = set(_defaults(cls))
    if path.startswith("xgboost."):
        names = set(cls().get_params(deep=False)) | _DROPOUT
    own, stated = _OWN.get(path), getattr(cls, "_parameter_constraints", {})
    return {
        name: own.get(name) if own else _alternatives(stated.get(name))
        for name in sorted(names - WITHHELD)
    }


def _required(path: str) -> list[str]:
    """Return the parameters without a default, or with a default that the class refuses."""
    cls = resolve(path)
    stated = getattr(cls, "_parameter_constraints", {})
    return [
        name
        for name, default in _defaults(cls).items()
        if default is signature(cls).empty or _is_refused(stated.get(name), default)
    ]


def _defaults(cls: type) -> dict[str, Any]:
    stated = signature(cls).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in stated
        if parameter.kind is not parameter.VAR_KEYWORD
    }


def _is_refused(stated: Any, value: Any) -> bool:
    if not isinstance(stated, list):
        return False
    return not any(
        sklearn_rules.make_constraint(constraint).is_satisfied_by(value) for constraint in stated
    )


def _alternatives(stated: Any) -> Alternatives:
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
