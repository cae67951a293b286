"""How estimators of scikit-learn are fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from include.learners import Learner, defaults_of
from include.learners.estimator_lists import Alternatives
from include.learners.scikit_learn.class_lists import ESTIMATORS
from include.learners.scikit_learn.fitting_examples import NEEDED_TO_FIT, VARIANTS

if TYPE_CHECKING:
    from include.learners.rows import Fold, Staged

_FORESTS = frozenset({"RandomForestClassifier", "ExtraTreesClassifier"})
_SIZES = dict.fromkeys(
    (*_FORESTS, "AdaBoostClassifier", "GradientBoostingClassifier"), "n_estimators"
) | {"HistGradientBoostingClassifier": "max_iter"}
"""By class, the parameter whose smaller values one fit contains."""

_OWN_TABLES: Mapping[str, Mapping[str, Alternatives]] = {
    "serving.bundle.ValueFrequency": {"append": ["bool"]},
    "sklearn.pipeline.FeatureUnion": {
        "n_jobs": ["int"],
        "transformer_list": ["list"],
        "transformer_weights": ["table"],
        "verbose": ["bool"],
        "verbose_feature_names_out": ["bool", "text"],
    },
}
"""Parameters of classes that declare no values."""


class ScikitLearn(Learner):
    """Forests and boosted trees are fitted once for all their sizes; the rest one by one."""

    name = "scikit-learn"
    package = "sklearn"
    estimators = ESTIMATORS
    needed_to_fit = NEEDED_TO_FIT
    variants = VARIANTS
    imported_ahead = (
        "sklearn.ensemble",
        "sklearn.linear_model",
        "sklearn.metrics",
        "sklearn.model_selection",
        "sklearn.naive_bayes",
        "sklearn.neighbors",
        "sklearn.pipeline",
        "sklearn.preprocessing",
    )

    def parameter_values(self, path: str, cls: type) -> Mapping[str, Alternatives]:
        """Return what the class declares, or what is written here where it declares nothing."""
        from include.learners.scikit_learn.constraints import stated_values

        own, stated = _OWN_TABLES.get(path), getattr(cls, "_parameter_constraints", {})
        return {
            name: own.get(name) if own else stated_values(stated.get(name))
            for name in defaults_of(cls)
        }

    def required_parameters(self, cls: type) -> list[str]:
        """Return those without a default, and those with a default that the class refuses."""
        from include.learners.scikit_learn.constraints import is_refused

        stated = getattr(cls, "_parameter_constraints", {})
        return [
            name
            for name, default in defaults_of(cls).items()
            if default is Parameter.empty or is_refused(stated.get(name), default)
        ]

    def regressors(self) -> Sequence[str]:
        """See Learner."""
        from sklearn.utils.discovery import all_estimators

        return [name for name, _ in all_estimators("regressor")]

    def last_step(self, model: Any) -> Any | None:
        """See Learner."""
        from sklearn.pipeline import Pipeline

        return model[-1] if isinstance(model, Pipeline) else None

    def size_parameter(self, classifier: Any) -> str:
        """See Learner."""
        return _SIZES.get(type(classifier).__name__, "")

    def fit_at_sizes(self, classifier: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
        """Take the first trees of a forest, the first stages of what is boosted; see Learner."""
        import numpy as np

        fitted = classifier.fit(fold.X, fold.y)
        if type(classifier).__name__ in _FORESTS:
            X = np.asarray(fold.X_validation, np.float32)
            trees = fitted.estimators_
            return _at_sizes(
                _means(tree.predict_proba(X, check_input=False)[:, 1] for tree in trees), sizes
            )
        stages = (stage[:, 1] for stage in fitted.staged_predict_proba(fold.X_validation))
        return _at_sizes(stages, sizes)

    def seed_parameters(self, part: Any, seed: int) -> Mapping[str, Any]:
        """Seed the folds of a target encoder, whose own seed is deprecated; see Learner."""
        if _draws_folds_unseeded(part):
            from sklearn.model_selection import StratifiedKFold

            return {"cv": StratifiedKFold(part.cv, shuffle=True, random_state=seed)}
        return super().seed_parameters(part, seed)

    def thread_parameter(self, part: Any) -> str:
        """Leave out linear models: they accept the parameter and warn that it has no effect."""
        return "" if type(part).__module__.startswith("sklearn.linear_model") else "n_jobs"

    def splits_on_categories(self, step: Any, columns: Sequence[int], most: int) -> bool:
        """Tell histogram boosting, which has a bin for each category; see Learner."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        if not (isinstance(step, HistGradientBoostingClassifier) and most <= step.max_bins):
            return False
        step.set_params(categorical_features=list(columns))
        return True

    def fills_missing(self, step: Any) -> bool:
        """Say whether a step is an imputer."""
        return type(step).__module__.startswith("sklearn.impute.")


def _draws_folds_unseeded(part: Any) -> bool:
    """Say whether a part shuffles rows into folds by chance, in another way in every fit."""
    from sklearn.preprocessing import TargetEncoder

    if not (isinstance(part, TargetEncoder) and isinstance(part.cv, int)):
        return False
    return (part.shuffle, part.random_state) == ("deprecated", "deprecated")


def _means(parts: Iterable[Staged]) -> Iterator[Staged]:
    """Yield the mean of the first 1, 2, 3 ... of the parts: a forest of n trees is their mean."""
    total: Any = 0.0
    for count, part in enumerate(parts, 1):
        total = total + part
        yield total / count


def _at_sizes(stages: Iterable[Staged], sizes: Sequence[int]) -> tuple[Staged, int]:
    """Return the stages of these sizes, the last stage where the fit stopped before a size."""
    import numpy as np

    wanted, chosen, last = set(sizes), {}, None
    for number, stage in enumerate(stages, 1):
        last = stage
        if number in wanted:
            chosen[number] = stage
    return np.array([chosen.get(size, last) for size in sizes], dtype=np.float64), 0


LEARNER = ScikitLearn()
