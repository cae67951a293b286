"""How many threads a fitted model asks for."""

from collections.abc import Mapping

from sklearn.base import BaseEstimator


def single_thread(model: object) -> None:
    """Set `n_jobs` to 1 wherever it stands in a fitted model.

    Starting threads costs more than one row takes. The fitted parts are not reachable through
    `get_params`, which leads to the unfitted templates, so this walks the attributes.
    """
    pending, seen = [model], set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple):
            pending.extend(part)
        elif isinstance(part, Mapping):
            pending.extend(part.values())
        elif isinstance(part, BaseEstimator):
            # Its own: a frozen estimator shows that of the model inside it and lets nobody set it.
            if "n_jobs" in vars(part):
                part.set_params(n_jobs=1)
            pending.extend(vars(part).values())
