"""What selection takes and finds: the race beside an exhaustive search and two others.

Time: the race in two processes on the laid-out train side, as tasks run it, beside scikit-learn's
`GridSearchCV(scoring="f1", n_jobs=2)` over the same candidates and folds. At 200,000 rows the peer
runs one fold of each candidate and its time is taken times the number of folds. Memory: what all
processes of the race have together beyond what they had after their imports, shared pages counted
once. Choice: on small data sets the winner of the race and of an exhaustive search over the same
folds, each fitted and scored on a holdout; `HalvingGridSearchCV` over the same candidates and FLAML
with the time that the race took (and a threshold tuned out of fold, as ours is) beside them.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - importing it enables it
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline

from demo.data import pulsar_rows, santander_rows
from include.adapters.race_results import RaceResults
from include.adapters.train_matrix import OrderedRows, TrainMatrices
from include.metrics import objective
from include.records.training import FitJob, Trial
from include.spec.model_spec import Spec
from include.stages import select
from include.steps import race
from include.steps.race import RaceOutcome
from include.steps.race_opening import Race
from serving.bundle import Layout

QUICK = bool(os.environ.get("QUICK"))
PROCESSES = 2
WHOLE = 1_000 if QUICK else 40_000
LARGE = 2_000 if QUICK else 200_000
SEEDS = 1 if QUICK else 10
FRESH = 20_000
"""Rows that winners are scored on."""
MIB = 2**20
SCALER = "sklearn.preprocessing.StandardScaler"
Matrix = NDArray[np.float32]
Labels = NDArray[np.int8]


def main() -> None:
    """Run the benchmark and print its tables and, last, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=Path, required=True, help="Python with FLAML")
    parser.add_argument("--only", choices=["time", "choice"])
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    console = Console(highlight=False)
    figures: dict[str, Any] = {"benchmark": "select", "quick": QUICK}
    if asked.only != "choice":
        figures |= {"whole": _timed(WHOLE, whole=True), "large": _timed(LARGE, whole=False)}
        console.print(_time_table(figures))
    if asked.only != "time":
        figures["choice"] = [_chosen(data, seed, asked.peers) for data, seed in _data_sets()]
        console.print(_choice_table(figures["choice"]))
        figures["summary"] = _summary(figures["choice"])
    print(json.dumps(figures))


@dataclass(frozen=True)
class Sizes:
    """How large the growing models of the candidates are."""

    trees: tuple[int, ...] = (50, 100)
    stumps: tuple[int, ...] = (25, 50)
    rounds: tuple[int, ...] = (100, 200, 400)


SMALL = Sizes(trees=(25, 50), stumps=(10, 20), rounds=(50, 100, 200))


def spec(sizes: Sizes, **selection: Any) -> Spec:
    """Return the candidates: 21 in six families."""
    families = [
        _family(
            "random_forest",
            ["sklearn.ensemble.RandomForestClassifier"],
            randomforestclassifier__n_estimators=sizes.trees,
            randomforestclassifier__min_samples_leaf=(10, 40),
        ),
        _family(
            "ada_boost",
            [SCALER, "sklearn.ensemble.AdaBoostClassifier"],
            adaboostclassifier__n_estimators=sizes.stumps,
        ),
        _family(
            "xgboost",
            ["xgboost.XGBClassifier"],
            xgbclassifier__n_estimators=sizes.rounds,
            xgbclassifier__max_depth=(1, 2, 4),
            xgbclassifier__learning_rate=(0.1,),
            xgbclassifier__n_jobs=(1,),
        ),
        _family(
            "neighbours",
            [SCALER, "sklearn.neighbors.KNeighborsClassifier"],
            kneighborsclassifier__n_neighbors=(51, 201),
        ),
        _family(
            "logistic_regression",
            [SCALER, "sklearn.linear_model.LogisticRegression"],
            logisticregression__C=(0.001, 0.1),
        ),
        _family(
            "naive_bayes",
            ["sklearn.naive_bayes.GaussianNB"],
            gaussiannb__var_smoothing=(1e-9, 1e-4),
        ),
    ]
    fields = {"name": "s", "model": "s", "title": "S", "data": {"target": "y"}}
    return Spec.model_validate(fields | {"families": families, "selection": selection})


def _family(name: str, pipeline: list[str], **grid: tuple[Any, ...]) -> dict[str, Any]:
    return {"name": name, "pipeline": pipeline, "grid": grid}


@dataclass(frozen=True)
class _Place:
    """Where a race's files are: what a process needs to open it."""

    folder: Path
    spec: Spec

    def enter(self) -> Race:
        """Open the race, laying its train side out when it is not there yet."""
        side = TrainMatrices(self.folder / "sides").open("train", self._arranged)
        rows = select.FoldedRows(side.y, side.bounds, side.X)
        board = RaceResults(str(self.folder / "races"), "run", {})
        return Race(self.spec, side.layout, rows, board, PROCESSES)

    def _arranged(self) -> OrderedRows:
        X, y = np.load(self.folder / "X.npy", mmap_mode="r"), np.load(self.folder / "y.npy")
        order, bounds = select.fold_order(y, self.spec.selection)
        layout = Layout(tuple(f"f{at}" for at in range(X.shape[1])))
        return OrderedRows(layout, X, y, select.doubled_order(order, bounds), bounds)


def _screen(place: _Place, family: str) -> list[Trial]:
    return race.screen(place.enter(), family)


def _run_job(place: _Place, fit_job: FitJob) -> FitJob:
    return race.run_job(place.enter(), fit_job)


def _lay_out(place: _Place) -> None:
    place.enter()


def _ready(seconds: float) -> None:
    """Import what tasks are forked with, and stay long enough for each process to get a turn."""
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.neighbors
    import xgboost

    _kept = (sklearn.ensemble, sklearn.linear_model, sklearn.neighbors, xgboost)
    time.sleep(seconds)


def raced(X: Matrix, y: Labels, spec: Spec) -> tuple[RaceOutcome, Race, dict[str, float]]:
    """Run a race in processes of their own; return how it ended, the race, seconds and MiB."""
    folder = Path(tempfile.mkdtemp(prefix="race-"))
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    place = _Place(folder, spec)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        list(pool.map(_ready, [0.5] * PROCESSES))
        with _memory() as memory:
            began = time.perf_counter()
            pool.submit(_lay_out, place).result()
            families = [family.name for family in spec.families]
            screened = list(pool.map(partial(_screen, place), families))
            ran = place.enter()
            shortlisted = race.shortlist(ran, [trial for family in screened for trial in family])
            list(pool.map(partial(_run_job, place), shortlisted.fit_jobs))
            finalists = race.finalists(ran, shortlisted.trials)
            list(pool.map(partial(_run_job, place), finalists.fit_jobs))
            finish = race.finish(ran, finalists.trials)
            seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return finish, ran, {"seconds": seconds, "peak_mib": memory["peak"]}


@contextmanager
def _memory() -> Iterator[dict[str, float]]:
    """Watch what all child processes hold together, shared pages once, beyond what they had."""
    children = psutil.Process().children(recursive=True)

    def held() -> float:
        return sum(_pss(child) for child in children) / MIB

    before, told, ended = held(), {"peak": 0.0}, threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            told["peak"] = max(told["peak"], held() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield told
    finally:
        ended.set()
        watcher.join()


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _timed(rows: int, *, whole: bool) -> dict[str, Any]:
    """Time the race, then the peer, whole or by one fold of each candidate."""
    X, y = _santander(rows, seed=0)
    asked = spec(SMALL if QUICK else Sizes())
    finish, _, took = raced(X, y, asked)
    folds = _folds(y, asked)
    ran = folds if whole else folds[:1]
    began = time.perf_counter()
    search = GridSearchCV(**_searched(asked, ran), refit=False).fit(X, y)
    peer = (time.perf_counter() - began) * len(folds) / len(ran)
    return {
        "rows": rows,
        "race_seconds": took["seconds"],
        "peer_seconds": peer,
        "peer_is": "run whole" if whole else f"one fold of each candidate, times {len(folds)}",
        "times_faster": peer / took["seconds"],
        "race_peak_mib": took["peak_mib"],
        "matrix_mib": X.nbytes / MIB,
        "peak_to_matrix": took["peak_mib"] / (X.nbytes / MIB),
        "race_winner": finish.winner.candidate.title,
        "peer_winner_at_one_half": str(search.best_params_["model"][-1]),
    }


def _folds(y: Labels, spec: Spec) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the folds of a race as numbers of rows."""
    order, bounds = select.fold_order(y, spec.selection)
    return [(np.delete(order, slice(*cut)), order[slice(*cut)]) for cut in pairwise(bounds)]


def _searched(spec: Spec, folds: Any) -> dict[str, Any]:
    """Return what scikit-learn's searches need to go over the candidates of all families."""
    layout = Layout(())
    grids = []
    for family in spec.families:
        pipeline = select.build(select.candidates(family)[0], family, 0, layout)
        grid = {f"model__{name}": list(values) for name, values in family.grid.items()}
        grids.append({"model": [pipeline], **grid})
    return {
        "estimator": Pipeline([("model", None)]),
        "param_grid": grids,
        "scoring": "f1",
        "n_jobs": PROCESSES,
        "cv": folds,
    }


@dataclass(frozen=True)
class _Data:
    """Rows to select and fit on, and fresh rows of the same kind to score on."""

    name: str
    X: Matrix
    y: Labels
    X_holdout: Matrix
    y_holdout: Labels

    def f1(self, model: Any, threshold: float) -> float:
        """Return the F1 on the fresh rows."""
        called = model.predict_proba(self.X_holdout)[:, 1] >= threshold
        return float(f1_score(self.y_holdout, called))


def _data_sets() -> Iterator[tuple[_Data, int]]:
    """Yield three kinds of rows for every seed: many weak features, few strong ones, products."""
    for seed in range(SEEDS):
        yield _data("santander-shaped", 1_000 if QUICK else 5_000, seed, _santander), seed
        yield _data("pulsar-shaped", 1_000 if QUICK else 20_000, seed, _pulsars), seed
        yield _data("products", 1_000 if QUICK else 10_000, seed, _products), seed


def _data(name: str, rows: int, seed: int, make: Callable[[int, int], Any]) -> _Data:
    return _Data(name, *make(rows, seed), *make(FRESH, 10_000 + seed))


def _santander(rows: int, seed: int) -> tuple[Matrix, Labels]:
    frame = santander_rows(rows, seed)
    return _arrays(frame.drop("ID_code", "target"), frame["target"])


def _pulsars(rows: int, seed: int) -> tuple[Matrix, Labels]:
    frame = pulsar_rows(rows, seed)
    return _arrays(frame.drop("class"), frame["class"])


def _arrays(features: pl.DataFrame, labels: pl.Series) -> tuple[Matrix, Labels]:
    return features.to_numpy().astype(np.float32), labels.to_numpy().astype(np.int8)


def _products(rows: int, seed: int) -> tuple[Matrix, Labels]:
    """Return rows whose label follows from products of features, which trees alone can see."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 20)).astype(np.float32)
    signal = X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + np.sin(2 * X[:, 4]) + 0.5 * X[:, 5]
    return X, (signal + rng.normal(size=rows) > 2).astype(np.int8)  # noqa: PLR2004 - one in eight


def _chosen(data: _Data, seed: int, peers: Path) -> dict[str, Any]:
    """Select by each way on the same rows and score what comes of it on the fresh ones."""
    sys.stderr.write(f"{data.name}, seed {seed}\n")
    asked = spec(SMALL, seed=seed)
    finish, ran, took = raced(data.X, data.y, asked)
    whole, all_ran, whole_took = raced(
        data.X, data.y, spec(SMALL, seed=seed, strategy="exhaustive")
    )
    return {
        "data": data.name,
        "seed": seed,
        "race_winner": finish.winner.candidate.title,
        "exhaustive_winner": whole.winner.candidate.title,
        "race_f1": data.f1(race.fit(ran, finish), finish.winner.threshold),
        "exhaustive_f1": data.f1(race.fit(all_ran, whole), whole.winner.threshold),
        "race_seconds": took["seconds"],
        "exhaustive_seconds": whole_took["seconds"],
        **_halving(data, asked),
        **_flaml(data, peers, took["seconds"]),
    }


def _halving(data: _Data, spec: Spec) -> dict[str, float]:
    began = time.perf_counter()
    search = HalvingGridSearchCV(
        **_searched(spec, StratifiedKFold(5, shuffle=True, random_state=0)), random_state=0
    ).fit(data.X, data.y)
    seconds = time.perf_counter() - began
    said = cross_val_predict(search.best_estimator_, data.X, data.y, method="predict_proba")[:, 1]
    threshold = objective("f1").tuned(data.y, said)
    f1 = data.f1(search.best_estimator_, threshold)
    return {"halving_f1": f1, "halving_seconds": seconds}


def _flaml(data: _Data, peers: Path, budget: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        rows, answer = Path(folder, "rows.npz"), Path(folder, "answer.npz")
        np.savez(rows, X=data.X, y=data.y, holdout=data.X_holdout)
        call = [str(peers), "-m", "benchmarks.flaml_peer", str(rows), str(answer), str(budget)]
        done = subprocess.run(call, check=False, capture_output=True, text=True)  # noqa: S603 - ours
        if done.returncode:
            raise SystemExit(f"FLAML failed: {done.stderr[-2000:]}")
        with np.load(answer) as told:
            called = told["probability"] >= told["threshold"]
            seconds = float(told["seconds"])
    return {
        "flaml_f1": float(f1_score(data.y_holdout, called)),
        "flaml_seconds": seconds,
    }


def _summary(chosen: list[dict[str, Any]]) -> dict[str, float]:
    behind = [one["exhaustive_f1"] - one["race_f1"] for one in chosen]
    same = [one["race_winner"] == one["exhaustive_winner"] for one in chosen]
    return {
        "same_winner_share": statistics.mean(same),
        "behind_exhaustive_mean": statistics.mean(behind),
        "behind_exhaustive_worst": max(behind),
        "times_faster_than_exhaustive": statistics.median(
            one["exhaustive_seconds"] / one["race_seconds"] for one in chosen
        ),
        **{
            f"ahead_of_{peer}_mean": statistics.mean(
                one["race_f1"] - one[f"{peer}_f1"] for one in chosen
            )
            for peer in ("halving", "flaml")
        },
    }


def _time_table(figures: dict[str, Any]) -> Table:
    table = Table("figure", f"{WHOLE:,} x 200", f"{LARGE:,} x 200", title="selection: time, memory")
    for name, value in figures["whole"].items():
        table.add_row(name, _told(value), _told(figures["large"][name]))
    return table


def _choice_table(chosen: list[dict[str, Any]]) -> Table:
    columns = [name for name in chosen[0] if name.endswith(("f1", "seconds"))]
    table = Table("data", *columns, title=f"what is chosen: means of {SEEDS} seeds")
    for name in dict.fromkeys(one["data"] for one in chosen):
        rows = [one for one in chosen if one["data"] == name]
        table.add_row(name, *(_told(statistics.mean(one[c] for one in rows)) for c in columns))
    return table


def _told(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
