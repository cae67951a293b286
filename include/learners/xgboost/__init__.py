"""How classifiers of XGBoost are fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from include.learners import Learner
from include.learners.estimator_lists import Alternatives, EstimatorLists
from include.learners.xgboost.parameter_table import DROPOUT, NATIVE_NAMES, PARAMETERS

if TYPE_CHECKING:
    from include.learners.rows import Classes, Features, Fold, RowBlocks, SharedMatrix, Staged

PATIENCE = 50
"""Boosting stops after this many rounds without a better one, or after as many as the best round
took where that is more."""
_SIZED = "XGBClassifier"


class XGBoost(Learner):
    """Boosts once for all numbers of rounds, on one quantised matrix a fold."""

    name = "XGBoost"
    package = "xgboost"
    estimators = EstimatorLists({"xgboost": ("XGBClassifier", "XGBRFClassifier")})
    native_names = NATIVE_NAMES
    needed_to_fit = dict.fromkeys(
        ("XGBClassifier", "XGBRFClassifier"), MappingProxyType({"n_estimators": 3, "n_jobs": 1})
    )
    variants = MappingProxyType(
        {
            "XGBClassifier": (
                {"booster": "dart"},
                {"booster": "gblinear"},
                {"eval_metric": "aucpr"},
            )
        }
    )
    imported_ahead = ("xgboost",)

    def parameter_values(self, path: str, cls: type) -> Mapping[str, Alternatives]:
        """Return what is written here: the class checks nothing before it is fitted."""
        del path
        names = {*cls().get_params(deep=False), *DROPOUT}
        return {name: PARAMETERS.get(name) for name in names}

    def regressors(self) -> Sequence[str]:
        """See Learner."""
        return ("XGBRegressor", "XGBRFRegressor")

    def also_fitted(self, X: Features, y: Classes) -> Iterator[Any]:
        """Fit with an evaluation set, as in adopted models: it stores those results."""
        from xgboost import XGBClassifier

        model = XGBClassifier(n_estimators=3, n_jobs=1, early_stopping_rounds=1)
        yield model.fit(X, y, eval_set=[(X, y)], verbose=False)

    def size_parameter(self, classifier: Any) -> str:
        """Return the number of rounds, where they are trees that nothing takes back."""
        is_sized = type(classifier).__name__ == _SIZED
        return "n_estimators" if is_sized and classifier.booster in {None, "gbtree"} else ""

    def fit_at_sizes(self, classifier: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
        """Fit for as long as average precision on the validation rows improves."""
        import numpy as np

        stop = _patient(sizes) if len(sizes) > 1 else None
        metric = "aucpr" if stop else classifier.eval_metric
        classifier.set_params(callbacks=stop, eval_metric=metric)
        watched = [(fold.X_validation, fold.y_validation)] if stop else None
        classifier.fit(fold.X, fold.y, eval_set=watched, verbose=False)
        reached = classifier.get_booster().num_boosted_rounds()
        staged = np.full((len(sizes), len(fold.X_validation)), np.nan)
        for place, size in enumerate(sizes):
            if size <= reached:
                probability = classifier.predict_proba(fold.X_validation, iteration_range=(0, size))
                staged[place] = probability[:, 1]
        return staged, reached if reached < sizes[-1] else 0

    def with_shared_matrix(self, classifier: Any, shared: SharedMatrix) -> Any:
        """Return the same unfitted classifier; it fits on the quantised matrix that is shared."""
        if type(classifier).__name__ != _SIZED:
            return classifier

        class OnQuantised(type(classifier)):  # type: ignore[misc] # the class is a value here
            """XGBoost makes a matrix for every fit; this takes the one that is there."""

            def _create_dmatrix(self, ref: Any, **data: Any) -> Any:
                def make() -> Any:
                    return super(OnQuantised, self)._create_dmatrix(ref, **data)

                return make() if ref else shared((id(data["data"]), self.max_bin), make)

        return OnQuantised(**classifier.get_params())

    def reads_blocks(self, classifier: Any) -> bool:
        """Say whether these are histogram trees: XGBoost makes their bins of blocks."""
        from xgboost import XGBClassifier

        return (
            isinstance(classifier, XGBClassifier)
            and classifier.tree_method in {None, "auto", "hist"}
            and classifier.booster in {None, "gbtree"}
        )

    def fit_blocks(self, classifier: Any, blocks: RowBlocks, cache: Path) -> None:
        """Fit on every row of the blocks.

        XGBoost reads the blocks a few times, keeps up to two thirds of their bytes in the folder
        `cache`, and reads the cache once for each level of each tree; besides, it holds about 2 MiB
        a column in memory. Its histogram cuts equal those of a fit in memory where features have
        few values, else they are within the error of the same quantile sketch.
        """
        from xgboost import ExtMemQuantileDMatrix, train

        matrix = ExtMemQuantileDMatrix(
            _laid(blocks, classifier, cache),
            missing=classifier.missing,
            nthread=classifier.n_jobs,
            max_bin=classifier.max_bin,
            enable_categorical=classifier.enable_categorical,
        )
        fitted = train(
            classifier.get_xgb_params(),
            matrix,
            classifier.get_num_boosting_rounds(),
            early_stopping_rounds=classifier.early_stopping_rounds,
        )
        classifier.load_model(fitted.save_raw("ubj"))


def _patient(sizes: Sequence[int]) -> list[Any]:
    from xgboost.callback import EarlyStopping

    class Patient(EarlyStopping):  # type: ignore[misc] # mypy does not follow xgboost
        """Goes on for as long again as it took to get to the best round so far."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            super().after_iteration(model, epoch, evals_log)
            best = int(model.attr("best_iteration"))
            return bool(epoch + 1 >= sizes[0] and epoch - best >= max(PATIENCE, best))

    return [Patient(rounds=sizes[-1], metric_name="aucpr")]


def _laid(blocks: RowBlocks, classifier: Any, cache: Path) -> Any:
    """Return what hands the blocks to XGBoost, which reads them several times from the first."""
    from xgboost import DataIter

    class Laid(DataIter):  # type: ignore[misc] # XGBoost comes without types
        """Begins again whenever XGBoost says so."""

        def __init__(self) -> None:
            self._coming = blocks()
            super().__init__(cache_prefix=str(cache / "bins"))

        def reset(self) -> None:
            self._coming = blocks()

        def next(self, input_data: Any) -> bool:
            block = next(self._coming, None)
            if block is None:
                return False
            features, labels = block
            input_data(
                data=features,
                label=labels,
                feature_types=classifier.feature_types,
                feature_weights=classifier.feature_weights,
            )
            return True

    return Laid()


LEARNER = XGBoost()
