"""XGBoost: boosted trees behind scikit-learn's interface, stored in a format of its own."""

from collections.abc import Iterable
from typing import Any

from serving.bundle.learners import Learner
from serving.bundle.learners.estimator_interface import single_thread_by_n_jobs
from serving.bundle.learners.scores import AsScore, Score
from serving.bundle.learners.xgboost.boosters import require_booster
from serving.bundle.part_checks import imported
from serving.bundle.refused_bundle import require
from serving.bundle.trusted_parts import Rebuilder, TrustedParts, nothing_yet


class XGBoost(Learner):
    """Asks the booster inside a classifier."""

    name = "XGBoost"
    package = "xgboost"
    distribution = "xgboost-cpu"
    imported_ahead = ("xgboost", f"{__name__}.graphs")

    def __init__(self) -> None:
        """Say how a booster is rebuilt: of bytes that were looked through before."""
        booster = Rebuilder(nothing_yet, _finish_booster)
        self.trusted = TrustedParts({("xgboost.core", "Booster"): booster})

    def score_of(self, model: Any) -> Score | None:
        """Return how to ask the booster, without the checks of its class; see Learner."""
        from xgboost import XGBClassifier

        if not isinstance(model, XGBClassifier):
            return None
        booster = model.get_booster()
        booster.set_param({"nthread": 1})
        # Early stopping leaves trees behind the best round, which the classifier does not ask
        # either.
        rounds = (0, booster.best_iteration + 1) if model.early_stopping_rounds else (0, 0)
        return lambda X: booster.inplace_predict(X, iteration_range=rounds, validate_features=False)

    def graph_score(self, model: Any, width: int, as_score: AsScore) -> Score | None:
        """See Learner."""
        from serving.bundle.learners.xgboost.graphs import converted

        return as_score(lambda: converted(model, width))

    def single_thread(self, part: object) -> Iterable[object]:
        """See Learner."""
        return single_thread_by_n_jobs(part)


def _finish_booster(_: None, state: Any) -> Any:
    """Return a booster of bytes that were looked through before."""
    require(type(state) is dict and set(state) == {"handle"}, "a booster has another state")
    require(type(state["handle"]) is bytearray, "a booster has no trees")
    require_booster(bytes(state["handle"]))
    booster = imported("xgboost.core.Booster")
    whole = booster.__new__(booster)
    whole.__setstate__(dict(state))
    return whole


LEARNER = XGBoost()
