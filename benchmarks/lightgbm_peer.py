"""A tuned LightGBM with an out-of-fold threshold: what `make bench-quality` holds Ratchet against.

Runs in an environment of its own, because LightGBM is no dependency of the project. A random search
over the parameters that its documentation names for accuracy and against over-fitting, each
setting judged by F1 at the best threshold of all out-of-fold probabilities; the number of rounds
costs no fit, because a booster answers after any of them.
"""

import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

FOLDS = 5
ROUNDS = (25, 50, 100, 200, 400)
Floats = NDArray[np.float64]


def main() -> None:
    """Search on the train rows of a file, answer its holdout rows, write that into another.

    Tries so many settings, and more until so many seconds have passed; prints what it found.
    """
    source, target, seed, settings, seconds = sys.argv[1:]
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    with np.load(Path(source)) as rows:
        X, y, holdout, categories = (rows[name] for name in ("X", "y", "holdout", "categories"))
    began = time.perf_counter()
    tried = 0
    best: tuple[float, float, dict[str, Any]] = (-1.0, 0.5, {})
    for tried, setting in enumerate(_settings(int(seed)), 1):
        best = max(best, *_judged(setting, X, y, categories.tolist()), key=lambda item: item[0])
        if tried >= int(settings) and time.perf_counter() - began >= float(seconds):
            break
    f1, threshold, setting = best
    model = lightgbm.LGBMClassifier(**setting)
    model.fit(X, y, categorical_feature=categories.tolist())
    np.savez(Path(target), probability=model.predict_proba(holdout)[:, 1])
    spent = time.perf_counter() - began
    told = {"threshold": threshold, "f1": f1, "tried": tried, "seconds": spent, "setting": setting}
    print(json.dumps(told))


def _settings(seed: int) -> Iterator[dict[str, Any]]:
    """Yield LightGBM's defaults, then settings drawn at random, without end."""
    fixed = {"n_jobs": 1, "verbose": -1, "random_state": seed, "n_estimators": ROUNDS[-1]}
    yield fixed
    rng = np.random.default_rng(seed)
    while True:
        yield fixed | {
            "num_leaves": int(2 ** rng.uniform(2, 6)),
            "learning_rate": float(10 ** rng.uniform(-1.7, -0.7)),
            "min_child_samples": int(10 ** rng.uniform(0.5, 2.5)),
            "colsample_bytree": float(rng.uniform(0.1, 1)),
            "subsample": float(rng.uniform(0.5, 1)),
            "subsample_freq": 1,
            "reg_lambda": float(10 ** rng.uniform(-2, 1.5)),
        }


def _judged(
    setting: dict[str, Any], X: NDArray[np.float32], y: NDArray[np.int8], categories: list[int]
) -> list[tuple[float, float, dict[str, Any]]]:
    """Return F1, threshold and setting after each number of rounds."""
    probability = np.empty((len(ROUNDS), len(y)))
    for train, validation in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, y):
        model = lightgbm.LGBMClassifier(**setting)
        model.fit(X[train], y[train], categorical_feature=categories)
        for place, rounds in enumerate(ROUNDS):
            answer = model.predict_proba(X[validation], num_iteration=rounds)
            probability[place, validation] = answer[:, 1]
    return [
        (*_best(y, one), setting | {"n_estimators": rounds})
        for one, rounds in zip(probability, ROUNDS, strict=True)
    ]


def _best(y: NDArray[np.int8], probability: Floats) -> tuple[float, float]:
    """Return the best F1 and the threshold that has it, halfway between two probabilities."""
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    hits = np.cumsum(y[order], dtype=np.int64)
    f1 = 2 * hits / (np.arange(1, len(y) + 1) + hits[-1])
    last = int(np.argmax(np.where(np.append(ranked[:-1] > ranked[1:], True), f1, -1.0)))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    return float(f1[last]), float((ranked[last] + below) / 2)


if __name__ == "__main__":
    main()
