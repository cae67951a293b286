"""FLAML with a budget of seconds: one of what `make bench-select` holds the race against.

Runs in an environment of its own, because FLAML is no dependency of the project. Its search asks
for F1 over five stratified folds; the threshold is then tuned out of fold, as Ratchet's is.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from flaml import AutoML
from sklearn.model_selection import cross_val_predict

PROCESSES = 2


def main() -> None:
    """Search on the rows of a file for so many seconds and write the answers for its holdout."""
    source, target, budget = sys.argv[1:]
    warnings.simplefilter("ignore")
    with np.load(Path(source)) as rows:
        X, y, holdout = rows["X"].astype(np.float64), rows["y"].astype(int), rows["holdout"]
    began = time.perf_counter()
    search = AutoML()
    search.fit(
        X,
        y,
        task="classification",
        metric="f1",
        eval_method="cv",
        n_splits=5,
        split_type="stratified",
        time_budget=float(budget),
        n_jobs=PROCESSES,
        seed=0,
        verbose=0,
        log_file_name="",
    )
    seconds = time.perf_counter() - began
    said = cross_val_predict(search.model.estimator, X, y, cv=5, method="predict_proba")[:, 1]
    np.savez(
        Path(target),
        probability=search.predict_proba(holdout.astype(np.float64))[:, 1],
        threshold=best_threshold(y, said),
        seconds=seconds,
    )


def best_threshold(y: np.ndarray, probability: np.ndarray) -> float:
    """Return the probability from which F1 is best, rows at or above it called positive."""
    order = np.argsort(-probability)
    hits = np.cumsum(y[order])
    f1 = 2 * hits / (np.arange(1, len(y) + 1) + hits[-1])
    return float(probability[order][int(np.argmax(f1))])


if __name__ == "__main__":
    main()
