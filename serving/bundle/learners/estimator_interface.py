"""What all classes with scikit-learn's interface have in common, whichever library they are of."""

from collections.abc import Iterable


def single_thread_by_n_jobs(part: object) -> Iterable[object]:
    """Set an estimator to one thread, and return all that it is made of; of no estimator, nothing.

    The fitted parts are not reachable through `get_params`, which leads to the unfitted templates.
    """
    from sklearn.base import BaseEstimator

    if not isinstance(part, BaseEstimator):
        return ()
    # Its own: a frozen estimator shows that of the model inside it and lets nobody set it.
    if "n_jobs" in vars(part):
        part.set_params(n_jobs=1)
    inside: Iterable[object] = vars(part).values()
    return inside
