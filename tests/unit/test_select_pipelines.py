import numpy as np
import pytest

from include.errors import SpecError
from include.learners import learner_of_path
from include.records.training import Candidate
from include.spec.estimators import CLASSIFIERS, TRANSFORMERS, paths
from include.spec.model_spec import Family
from include.stages.select import build, candidates
from serving.bundle import Layout

FOREST = Family(
    name="forest",
    pipeline=("sklearn.preprocessing.StandardScaler", "sklearn.ensemble.RandomForestClassifier"),
    params={"randomforestclassifier__n_estimators": 5},
    grid={
        "randomforestclassifier__max_depth": (2, 3),
        "randomforestclassifier__max_features": (1, 2),
    },
)
NUMBERS = Layout(("height", "width", "depth"))
RNG = np.random.default_rng(1)
X = RNG.normal(size=(300, 3)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=300) > 1).astype(np.int8)


def test_a_grid_is_every_combination() -> None:
    """Candidates carry scikit-learn's own parameter names."""
    listed = candidates(FOREST)
    assert len(listed) == 4
    assert listed[0].family == "forest"
    assert set(listed[0].params) == set(FOREST.grid)
    assert candidates(FOREST.model_copy(update={"grid": {}})) == [Candidate("forest", {})]


def test_a_pipeline_is_built_from_shared_and_own_parameters() -> None:
    """The spec's parameters, the candidate's and the seed arrive in the estimator."""
    forest = build(candidates(FOREST)[-1], FOREST, 7, NUMBERS)[-1]
    assert (forest.n_estimators, forest.max_depth, forest.max_features) == (5, 3, 2)
    assert forest.random_state == 7


def test_a_seed_of_the_spec_stands() -> None:
    """Only what the spec left open is seeded."""
    seeded = FOREST.model_copy(update={"params": {"randomforestclassifier__random_state": 3}})
    assert build(candidates(seeded)[0], seeded, 7, NUMBERS)[-1].random_state == 3


ENCODED = Family(
    name="encoded",
    pipeline=("sklearn.preprocessing.TargetEncoder", "sklearn.linear_model.LogisticRegression"),
)


def test_a_run_can_be_repeated_with_its_seed() -> None:
    """What shuffles rows while it is fitted does so by the seed of the run, and by another's."""

    def weights(seed: int) -> list[float]:
        model = build(Candidate("encoded", {}), ENCODED, seed, NUMBERS).fit(X.round(), Y)
        return [float(weight) for weight in model[-1].coef_[0]]

    assert weights(7) == weights(7)
    assert weights(7) != weights(8)


@pytest.mark.filterwarnings("ignore:Class PassiveAggressiveClassifier")
@pytest.mark.parametrize("path", paths(CLASSIFIERS, TRANSFORMERS))
def test_nothing_that_a_spec_may_name_is_left_without_a_seed(path: str) -> None:
    """A part that draws has the seed itself, or folds that have it."""
    name, learner = path.rpartition(".")[2], learner_of_path(path)
    assert learner
    needed = learner.needed_to_fit.get(name, {})
    params = {f"{name.lower()}__{key}": value for key, value in needed.items()}
    family = Family.model_construct(name="any", pipeline=(path,), params=params)
    for part in build(Candidate("any", {}), family, 7, NUMBERS).get_params().values():
        seeds = (
            getattr(part, "random_state", 7),
            getattr(getattr(part, "cv", None), "random_state", None),
        )
        assert any(isinstance(seed, int) for seed in seeds), part


def test_a_parameter_may_name_an_estimator() -> None:
    """Its import path stands for it; its own parameters and seed arrive in it."""
    inner = "calibratedclassifiercv__estimator"
    calibrated = Family(
        name="calibrated",
        pipeline=("sklearn.calibration.CalibratedClassifierCV",),
        params={f"{inner}__max_depth": 2, "calibratedclassifiercv__cv": 3},
        grid={inner: ("sklearn.tree.DecisionTreeClassifier", "xgboost.XGBClassifier")},
    )
    tree, booster = (build(one, calibrated, 7, NUMBERS)[-1] for one in candidates(calibrated))
    assert (tree.estimator.max_depth, tree.estimator.random_state) == (2, 7)
    assert type(booster.estimator).__name__ == "XGBClassifier"
    assert tree.fit(X, Y).predict_proba(X).shape == (300, 2)


def test_estimators_may_stand_in_lists() -> None:
    """A vote, a stack and columns name theirs, whose own parameters follow their names."""
    stack = Family(
        name="stack",
        pipeline=("sklearn.compose.ColumnTransformer", "sklearn.ensemble.StackingClassifier"),
        params={
            "columntransformer__transformers": [["one", "sklearn.preprocessing.MinMaxScaler", [0]]],
            "columntransformer__remainder": "passthrough",
            "stackingclassifier__estimators": [
                ["bayes", "sklearn.naive_bayes.GaussianNB"],
                ["tree", "sklearn.tree.DecisionTreeClassifier"],
            ],
            "stackingclassifier__tree__max_depth": 2,
            "stackingclassifier__final_estimator": "xgboost.XGBClassifier",
            "stackingclassifier__final_estimator__n_estimators": 2,
        },
    )
    model = build(candidates(stack)[0], stack, 7, NUMBERS)
    assert model[-1].get_params()["tree__max_depth"] == 2
    assert model.fit(X, Y).predict_proba(X).shape == (300, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"params": {"randomforestclassifier__trees": 5}}, "Invalid parameter 'trees'"),
        ({"pipeline": ("sklearn.ensemble.VotingClassifier",)}, "argument: 'estimators'"),
        ({"pipeline": ("sklearn.datasets.fetch_openml",)}, "fetch_openml is not supported"),
        ({"params": {"standardscaler": "sklearn.tree.Oak"}}, "sklearn.tree.Oak is not supported"),
    ],
)
def test_a_family_that_cannot_be_built_is_an_error_of_the_spec(
    change: dict[str, object], reason: str
) -> None:
    """The message names the family and what scikit-learn says of it."""
    with pytest.raises(SpecError, match=f"family 'forest' cannot be built: .*{reason}"):
        build(Candidate("forest", {}), FOREST.model_copy(update=change), 0, NUMBERS)
