"""Ways to fit classes of scikit-learn on a few random rows, for the list of what they hold."""

from collections.abc import Mapping
from typing import Any

from include.learners.scikit_learn.class_lists import ESTIMATORS

_LINEAR = "sklearn.linear_model.LogisticRegression"
_BAYES = "sklearn.naive_bayes.GaussianNB"
_TREE = "sklearn.tree.DecisionTreeClassifier"
_SCALER = "sklearn.preprocessing.StandardScaler"
_TWO = [["one", _LINEAR], ["two", _BAYES]]
_KERNEL_PATHS = sorted(
    f"{module}.{name}" for module, names in ESTIMATORS.kernels.items() for name in names
)
NEEDED_TO_FIT: Mapping[str, Mapping[str, Any]] = {
    "BaggingClassifier": {"n_estimators": 2},
    "ColumnTransformer": {"transformers": [["one", _SCALER, [0, 1]]], "remainder": "passthrough"},
    "FeatureUnion": {"transformer_list": [["one", _SCALER]]},
    "GaussianRandomProjection": {"n_components": 2},
    "GaussianProcessClassifier": {"max_iter_predict": 5},
    "GenericUnivariateSelect": {"mode": "k_best", "param": 1},
    "MissingIndicator": {"features": "all"},
    "MLPClassifier": {"hidden_layer_sizes": [4]},
    "OneVsOneClassifier": {"estimator": _LINEAR},
    "OneVsRestClassifier": {"estimator": _LINEAR},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "RadiusNeighborsClassifier": {"radius": 1000.0},
    "RFE": {"estimator": _LINEAR},
    "RFECV": {"estimator": _LINEAR},
    "SelectFromModel": {"estimator": _LINEAR},
    "SelectKBest": {"k": 2},
    "SelfTrainingClassifier": {"estimator": _LINEAR},
    "SequentialFeatureSelector": {"estimator": _BAYES},
    "SparseRandomProjection": {"n_components": 2},
    "StackingClassifier": {"estimators": _TWO},
    "VotingClassifier": {"estimators": _TWO, "voting": "soft"},
}
VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "AdaBoostClassifier": ({"estimator": _TREE},),
    "BaggingClassifier": ({"estimator": _LINEAR}, {"oob_score": True, "n_estimators": 40}),
    "CalibratedClassifierCV": (
        {"estimator": _BAYES, "method": "isotonic"},
        {"estimator": _LINEAR, "method": "temperature"},
        {"estimator": "xgboost.XGBClassifier", "ensemble": False},
    ),
    "ColumnTransformer": ({"transformers": [["one", "drop", [0]]], "remainder": _SCALER},),
    "GaussianProcessClassifier": tuple({"kernel": path} for path in _KERNEL_PATHS),
    "GradientBoostingClassifier": (
        {"loss": "exponential"},
        {"init": _LINEAR},
        {"init": "zero", "n_iter_no_change": 2},
    ),
    "HistGradientBoostingClassifier": ({"early_stopping": True}, {"categorical_features": [3]}),
    "KBinsDiscretizer": ({"encode": "ordinal"}, {"encode": "onehot-dense"}),
    "KNeighborsClassifier": (
        {"algorithm": "ball_tree"},
        {"algorithm": "brute"},
        {"metric": "manhattan"},
        {"metric": "chebyshev"},
        {"p": 3},
        {"metric": "cosine"},
    ),
    "LinearDiscriminantAnalysis": (
        {"solver": "lsqr", "shrinkage": "auto"},
        {"solver": "eigen", "shrinkage": "auto"},
    ),
    "LogisticRegression": (
        {"solver": "liblinear"},
        {"solver": "saga", "l1_ratio": 0.5},
        {"class_weight": "balanced"},
    ),
    "MLPClassifier": ({"solver": "lbfgs"}, {"solver": "sgd"}, {"early_stopping": True}),
    "OneHotEncoder": ({"drop": "first"}, {"max_categories": 5, "dtype": "float32"}),
    "PCA": ({"n_components": 2, "svd_solver": "randomized"},),
    "Perceptron": ({"penalty": "l2"},),
    "PassiveAggressiveClassifier": ({"loss": "squared_hinge"},),
    "RandomForestClassifier": ({"oob_score": True},),
    "SGDClassifier": tuple(
        {"loss": loss, "average": loss == "hinge", "early_stopping": loss == "log_loss"}
        for loss in (
            "hinge",
            "log_loss",
            "modified_huber",
            "squared_hinge",
            "perceptron",
            "squared_error",
            "huber",
            "epsilon_insensitive",
            "squared_epsilon_insensitive",
        )
    ),
    "SelectFromModel": ({"estimator": _TREE},),
    "SimpleImputer": ({"strategy": "median", "add_indicator": True},),
    "SplineTransformer": ({"knots": "quantile", "extrapolation": "periodic"},),
    "StackingClassifier": ({"estimators": _TWO, "final_estimator": "xgboost.XGBClassifier"},),
    "SVC": ({"kernel": "linear"},),
    "KNNImputer": ({"add_indicator": True},),
}
