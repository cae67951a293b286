"""What a family of a spec may say: names that lead somewhere, values that the classes take."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.utils import _param_validation as sklearn_rules

from include.cli.trusted_names import _ways
from include.spec import estimators
from include.spec.estimators import (
    CLASSIFIERS,
    ESTIMATOR_VALUED,
    KERNELS,
    PROBABILITIES_BY,
    TRANSFORM_TOO,
    TUPLE_VALUED,
    WITHOUT_PROBABILITIES,
    parameters,
    paths,
    resolve,
)
from include.spec.family_check import family_problems
from include.spec.parameter_values import accepts

SCALER, LINEAR = "sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"
FOREST, BAYES = "sklearn.ensemble.RandomForestClassifier", "sklearn.naive_bayes.GaussianNB"
TREE, BOOSTED = "sklearn.tree.DecisionTreeClassifier", "xgboost.XGBClassifier"
ADA, VOTE = "sklearn.ensemble.AdaBoostClassifier", "sklearn.ensemble.VotingClassifier"
SVC, CALIBRATED = "sklearn.svm.SVC", "sklearn.calibration.CalibratedClassifierCV"
COLUMNS, PROCESS = (
    "sklearn.compose.ColumnTransformer",
    "sklearn.gaussian_process.GaussianProcessClassifier",
)
TWO = {"votingclassifier__estimators": [["a", LINEAR], ["b", BAYES]]}
SOFT = {**TWO, "votingclassifier__voting": "soft"}
Params = Mapping[str, Any]

BROKEN: list[tuple[Sequence[str], Params, Params, str]] = [
    ([FOREST], {"clf__max_dept": 1}, {}, "did you mean randomforestclassifier__max_depth?"),
    ([FOREST], {"max_depth": 1}, {}, "no step 'max_depth', but 'randomforestclassifier'; did you"),
    ([FOREST], {"randomforestclassifier__max_dept": 1}, {}, "did you mean max_depth?"),
    ([FOREST], {"randomforestclassifier__max_depth": 0}, {}, "takes a whole number from 1, not 0"),
    ([FOREST], {"randomforestclassifier__max_depth": date(2020, 1, 1)}, {}, 'not "2020-01-01"'),
    (
        [FOREST],
        {"randomforestclassifier__criterion": "ginni"},
        {},
        'takes "entropy", "gini" or "log_loss", not "ginni"; did you mean gini?',
    ),
    ([FOREST], {"randomforestclassifier__bootstrap": "yes"}, {}, "takes true or false"),
    ([FOREST], {"randomforestclassifier__max_features": 1.5}, {}, "above 0 to 1"),
    ([FOREST], {}, {"randomforestclassifier__n_estimators": [10, -1]}, "from 1, not -1"),
    ([FOREST], {}, {"randomforestclassifier__max_depth": [[3, 5]]}, "not [3, 5]"),
    ([SCALER, LINEAR], {"logisticregression__solver": "lbgfs"}, {}, "did you mean lbfgs?"),
    ([LINEAR], {"logisticregression__class_weight": {"0": 1}}, {}, 'write "balanced"'),
    ([LINEAR], {"logisticregression__C": 1}, {"logisticregression__C": [1, 2]}, "only the grid"),
    ([BOOSTED], {"xgbclassifier__max_depth": -1}, {}, "takes a whole number from 0, not -1"),
    ([BOOSTED], {"xgbclassifier__max_depth": True}, {}, "takes a whole number from 0, not true"),
    ([BOOSTED], {"xgbclassifier__eta": 0.1}, {}, "did you mean learning_rate?"),
    ([BOOSTED], {"xgbclassifier__subsample": 1.5}, {}, "takes a number from 0 to 1, not 1.5"),
    ([BOOSTED], {"xgbclassifier__objective": "reg:squarederror"}, {}, '"binary:logistic"'),
    ([BOOSTED], {"xgbclassifier__early_stopping_rounds": 5}, {}, "takes 0, not 5"),
    (["sklearn.ensemble.RandomForestRegressor"], {}, {}, f"a regressor.*did you mean {FOREST}?"),
    (["sklearn.linear_model.LinearRegression"], {}, {}, f"a regressor.*did you mean {LINEAR}?"),
    (["sklearn.svm.SVR"], {}, {}, f"a regressor.*did you mean {SVC}?"),
    (["xgboost.XGBRegressor"], {}, {}, f"a regressor.*did you mean {BOOSTED}?"),
    (["sklearn.ensemble.RandomForestRegresor"], {}, {}, f"a regressor.*did you mean {FOREST}?"),
    (["sklearn.ensamble.RandomForrestClassifier"], {}, {}, f"did you mean {FOREST}?"),
    (["RandomForestClassifier"], {}, {}, f"did you mean {FOREST}?"),
    ([""], {}, {}, "is not supported"),
    ([SCALER], {}, {}, "is no classifier, as the last"),
    ([BAYES, LINEAR], {}, {}, "only the last of a pipeline is one"),
    (["sklearn.svm.LinearSVC"], {}, {}, f"gives no probabilities; put it into {CALIBRATED}"),
    ([SVC], {}, {}, "no probabilities unless svc__probability = true"),
    ([LINEAR], {"logisticregression": "sklearn.svm.LinearSVC"}, {}, "gives no probabilities"),
    ([SVC], {"svc__probability": True, "svc__kernel": "rbff"}, {}, "did you mean rbf?"),
    ([SCALER, LINEAR], {"standardscaler": BAYES}, {}, "is no transformer"),
    ([SCALER, LINEAR], {"standardscaler": 3}, {}, "3 is no class that can stand"),
    ([SCALER, LINEAR], {"logisticregression": "passthrough"}, {}, "is no class that can stand"),
    (
        [SCALER, LINEAR],
        {"standardscaler__with_mean": False},
        {"standardscaler": ["passthrough", SCALER]},
        'standardscaler may be "passthrough", which has no parameters',
    ),
    ([SCALER, SCALER, LINEAR], {"standardscaler__with_mean": True}, {}, "standardscaler-1__with"),
    ([ADA], {"adaboostclassifier__estimator__max_depth": 2}, {}, "estimator is not set, so there"),
    ([ADA], {"adaboostclassifier__estimator": "sklearn.tree.DecisionTreeRegressor"}, {}, TREE),
    ([ADA], {"adaboostclassifier__estimator": "DecisionTreeClassifier"}, {}, f"mean {TREE}?"),
    ([ADA], {"adaboostclassifier__estimator": SCALER}, {}, "is no classifier, as is wanted here"),
    ([ADA], {"adaboostclassifier__estimator": VOTE}, {}, "because it needs estimators"),
    ([ADA], {"adaboostclassifier__estimatr__max_depth": 2}, {}, "did you mean estimator?"),
    ([ADA], {"adaboostclassifier__learning_rate__x": 2}, {}, "has no parameters of its own"),
    (
        [ADA],
        {"adaboostclassifier__estimator": TREE, "adaboostclassifier__estimator__max_dept": 2},
        {},
        "did you mean max_depth?",
    ),
    (
        [ADA],
        {"adaboostclassifier__estimator__max_depth": 2},
        {"adaboostclassifier__estimator": [TREE, LINEAR]},
        "LogisticRegression has no parameter 'max_depth'",
    ),
    (
        ["sklearn.ensemble.StackingClassifier"],
        {
            "stackingclassifier__estimators": [["a", LINEAR], ["b", BAYES]],
            "stackingclassifier__final_estimator": FOREST,
            "stackingclassifier__final_estimator__max_dept": 3,
        },
        {},
        "did you mean max_depth?",
    ),
    ([VOTE], {"votingclassifier__voting": "soft"}, {}, "without votingclassifier__estimators"),
    ([VOTE], TWO, {}, 'unless votingclassifier__voting = "soft"'),
    ([VOTE], {**SOFT, "votingclassifier__a__CC": 1}, {}, "did you mean C?"),
    ([VOTE], {**SOFT, "votingclassifier__a__C": -1}, {}, "takes a number above 0, not -1"),
    ([VOTE], {**SOFT, "votingclassifier__c__C": 1}, {}, "has no parameter 'c'"),
    ([VOTE], {**SOFT, "votingclassifier__b": SCALER}, {}, "is no classifier"),
    ([VOTE], SOFT | {"votingclassifier__estimators": "x"}, {}, "takes a list such as"),
    ([VOTE], SOFT | {"votingclassifier__estimators": [["a", LINEAR]] * 2}, {}, "are named a"),
    ([VOTE], SOFT | {"votingclassifier__estimators": [["voting", LINEAR]]}, {}, "something else"),
    (
        [COLUMNS, LINEAR],
        {"columntransformer__transformers": [["a", SCALER]]},
        {},
        '"import path", [0, 1]]]',
    ),
    (
        [CALIBRATED],
        {
            "calibratedclassifiercv__estimator": "sklearn.svm.LinearSVC",
            "calibratedclassifiercv__estimator__C": -1,
        },
        {},
        "LinearSVC takes a number above 0, not -1",
    ),
    (
        [PROCESS],
        {"gaussianprocessclassifier__kernel": "sklearn.gaussian_process.kernels.RBF"},
        {"gaussianprocessclassifier__kernel__length_scal": [1.0]},
        "did you mean length_scale?",
    ),
]


@pytest.mark.parametrize(("pipeline", "params", "grid", "sentence"), BROKEN)
def test_what_no_candidate_can_be_made_of_is_told(
    pipeline: Sequence[str], params: Params, grid: Params, sentence: str
) -> None:
    """Each in a sentence that says what would do, or what was probably meant."""
    told = "; ".join(family_problems(pipeline, params, grid))
    for part in sentence.split(".*"):
        assert part in told


SOUND: list[tuple[Sequence[str], Params, Params]] = [
    ([SCALER, LINEAR], {}, {"standardscaler": ["passthrough", SCALER]}),
    (["sklearn.preprocessing.MinMaxScaler", LINEAR], {"minmaxscaler__feature_range": [0, 1]}, {}),
    ([VOTE], {**SOFT, "votingclassifier__b": "drop", "votingclassifier__a__C": 2}, {}),
    ([LINEAR], {"logisticregression": FOREST, "logisticregression__max_depth": 3}, {}),
    (
        [COLUMNS, LINEAR],
        {
            "columntransformer__transformers": [["a", SCALER, [0]], ["b", "drop", [1]]],
            "columntransformer__remainder": SCALER,
            "columntransformer__remainder__with_mean": False,
        },
        {"columntransformer__a__with_std": [True, False]},
    ),
    (
        [ADA],
        {},
        {
            "adaboostclassifier__estimator": [TREE, FOREST],
            "adaboostclassifier__estimator__max_depth": [1, 2],
        },
    ),
]


@pytest.mark.parametrize(("pipeline", "params", "grid"), SOUND)
def test_what_candidates_can_be_made_of_is_left_alone(
    pipeline: Sequence[str], params: Params, grid: Params
) -> None:
    """Steps and listed estimators may be replaced or dropped; inner ones have parameters."""
    assert list(family_problems(pipeline, params, grid)) == []


@pytest.mark.parametrize("path", sorted(set(paths()) - set(paths(KERNELS))))
def test_no_way_in_which_an_estimator_was_fitted_is_refused(path: str) -> None:
    """What the list of trusted names is made by fitting can stand in a spec as well."""
    is_last = path in paths(CLASSIFIERS)
    for params in _ways(path):
        told = list(family_problems([path] if is_last else [path, LINEAR], params, {}))
        assert [one for one in told if "gives no probabilities" not in one] == []


STATED = [
    (path, name)
    for path in paths()
    if hasattr(resolve(path), "_parameter_constraints")
    for name in parameters(path)
    if not {name} & (TUPLE_VALUED | ESTIMATOR_VALUED)
]
NUMBERS = st.integers(-3, 12) | st.sampled_from([10**9, 1 << 40]) | st.floats(-2, 3, width=16)
ENDS = st.sampled_from([0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan")])
TEXTS = st.sampled_from(["auto", "sqrt", "gini", "l2", "balanced", "x", "", "lbfgs", "drop"])
VALUES: st.SearchStrategy[Any] = (
    NUMBERS | ENDS | TEXTS | st.booleans() | st.just([]) | st.just([0.5, 1]) | st.just({})
)


@given(st.sampled_from(STATED), VALUES)
@example((FOREST, "max_features"), 1.0)
@example((FOREST, "max_features"), 0.0)
@example((LINEAR, "C"), float("nan"))
@example((LINEAR, "max_iter"), 10**400)
def test_values_are_taken_as_scikit_learn_takes_them(named: tuple[str, str], value: Any) -> None:
    """The file of constraints and its reader say what the installed library says."""
    path, name = named
    cls: Any = resolve(path)
    stated = cls._parameter_constraints.get(name, "no_validation")
    taken = stated == "no_validation" or any(
        sklearn_rules.make_constraint(one).is_satisfied_by(value) for one in stated
    )
    assert accepts(parameters(path)[name], value) == taken


def test_what_is_said_of_classes_beside_their_parameters_is_true() -> None:
    """Which classifiers transform too, and which never say how sure they are."""
    classifiers = {path: resolve(path) for path in paths(CLASSIFIERS)}
    assert {path for path, cls in classifiers.items() if hasattr(cls, "transform")} == TRANSFORM_TOO
    plain = {path for path, cls in classifiers.items() if not hasattr(cls, "predict_proba")}
    assert plain == WITHOUT_PROBABILITIES
    for path, (parameter, values) in PROBABILITIES_BY.items():
        cls = classifiers[path]
        needed: Params = {"estimators": []} if path == VOTE else {}
        assert not hasattr(cls(**needed), "predict_proba")
        for value in values:
            assert hasattr(cls(**needed, **{parameter: value}), "predict_proba")


def test_sentences_show_values_as_a_spec_writes_them() -> None:
    """Texts in quotes, true and false in small letters, and long ones cut."""
    (told,) = family_problems([FOREST], {"randomforestclassifier__max_depth": ["x" * 500]}, {})
    assert len(told) < 250
    assert json.dumps(["x"])[:3] in told


def test_a_class_of_a_library_that_is_not_installed_is_named_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its spec is read as any other; making the class says what is missing."""
    monkeypatch.setattr(estimators, "is_installed", lambda learner: learner.name != "XGBoost")
    assert not list(family_problems([BOOSTED], {}, {}))
    with pytest.raises(ValueError, match="is of XGBoost, which is not installed here"):
        resolve(BOOSTED)
    assert resolve(FOREST).__name__ == "RandomForestClassifier"
