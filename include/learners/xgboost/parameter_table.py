"""The parameters of XGBoost, which checks values in compiled code, and only when it fits."""

from collections.abc import Mapping

from include.learners.estimator_lists import Alternatives

DROPOUT = {"normalize_type", "one_drop", "rate_drop", "sample_type", "skip_drop"}
"""Parameters of XGBoost's dart booster, which its class accepts but does not list."""


def _number(kind: str, low: float | None, high: float | None = None) -> Alternatives:
    closed = "both" if high is not None else "left"
    return [{"type": kind, "low": low, "high": high, "closed": closed, "strict": True}]


def _texts(*texts: str) -> Alternatives:
    return [{"texts": sorted(texts)}]


_FROM_0, _SHARE = _number("real", 0), _number("real", 0, 1)
_COUNT, _COUNT_FROM_1, _WHOLE = _number("int", 0), _number("int", 1), _number("int", None)
PARAMETERS: Mapping[str, Alternatives] = {
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
NATIVE_NAMES: Mapping[str, str] = {
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
