"""How good the model is that selection picks, beside the best that is known for the same rows.

Santander-shaped rows: F1 on the holdout beside the best F1 that the Bayes rule of those rows can
have there. Real data, where the folder that `--data` names has them: the mean of F1 over five
stratified splits, on rows that were neither fitted nor selected on, beside a LightGBM that was
tuned on the same train rows for at least as long (`lightgbm_peer`). Rows that repeat another one
are dropped first, as the pipeline drops them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from sklearn.metrics import f1_score
from sklearn.model_selection import FixedThresholdClassifier, StratifiedKFold

from demo.data import POSITIVE_SHARE, santander_moments, santander_rows
from include.adapters.race_results import RaceResults
from include.metrics import objective
from include.records.arrays import Labels, Matrix, Probabilities
from include.settings import PROJECT
from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec
from include.stages import select
from include.steps import race
from include.steps.race_opening import Race
from serving.bundle import Layout, encode_column

QUICK = bool(os.environ.get("QUICK"))
CORES = os.cpu_count() or 1
SPLITS = 5
SPLITS_RUN = 1 if QUICK else SPLITS
ROWS = 20_000 if QUICK else 200_000
REAL_ROWS = 2_500 if QUICK else None
SETTINGS = 3 if QUICK else 12
FILES = {
    "htru2": "htru2.csv",
    "mammography": "mammography.csv",
    "bank": "bank_additional_full.csv.gz",
}
Figure = dict[str, Any]


def main() -> None:
    """Run the benchmark and print its table and, last, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path, required=True, help="a Python that has LightGBM")
    parser.add_argument("--data", type=Path, help="the folder of the real data")
    asked = parser.parse_args()
    console = Console(highlight=False)
    figures = [_santander()]
    for name, file in FILES.items():
        if asked.data is None or not (asked.data / file).is_file():
            where = asked.data or "a folder named by DATA="
            console.print(f"{name} is skipped: there is no {file} in {where}")
            continue
        figures.append(_real(name, asked.data / file, asked.peer))
    console.print(_table(figures))
    print(json.dumps({"benchmark": "quality", "quick": QUICK, "data": figures}))


def select_and_fit(
    X: Matrix, y: Labels, layout: Layout, spec: Spec
) -> tuple[FixedThresholdClassifier, float]:
    """Return the fitted winner of a race, and the threshold that is built into it."""
    with tempfile.TemporaryDirectory() as folder:
        side = select.fold_rows(X, y, spec.selection)
        ran = Race(spec, layout, side, RaceResults(folder, "run", {}), cores=CORES)
        screened = [trial for family in spec.families for trial in race.screen(ran, family.name)]
        shortlisted = race.shortlist(ran, screened)
        for fit_job in shortlisted.fit_jobs:
            race.run_job(ran, replace(fit_job, threads=CORES))
        finalists = race.finalists(ran, shortlisted.trials)
        for fit_job in finalists.fit_jobs:
            race.run_job(ran, replace(fit_job, threads=CORES))
        finish = race.finish(ran, finalists.trials)
    sys.stderr.write(f"{spec.name}: {finish.winner.candidate.title}\n")
    return race.fit(ran, finish), finish.winner.threshold


@dataclass(frozen=True)
class _Split:
    """Rows to select and fit on, and rows of the same layout that nobody has seen."""

    layout: Layout
    X: Matrix
    y: Labels
    unseen: Matrix
    truth: Labels

    def f1(self, probability: Probabilities, threshold: float) -> float:
        """Return F1 on the unseen rows."""
        return float(f1_score(self.truth, probability >= threshold, zero_division=0.0))


def _santander() -> Figure:
    """Compare with the Bayes rule, which knows the moments that the rows were made with."""
    rows = santander_rows(ROWS, seed=0)
    spec = read_spec(PROJECT / "include" / "specs" / "santander.toml")
    split = next(_splits(spec, rows))
    ours = _ours(split, spec)
    bayes = _bayes(split.unseen)
    best = split.f1(bayes, objective("f1").tuned(split.truth, bayes))
    return {"name": "santander", "rows": ROWS, "peer": "Bayes rule, best", "peer_f1": best} | {
        **ours,
        "ratio": ours["f1"] / best,
    }


def _bayes(X: Matrix) -> Probabilities:
    """Return the probability of the positive class under the law that made the rows."""
    moments = santander_moments()
    log_odds = np.full(len(X), np.log(POSITIVE_SHARE / (1 - POSITIVE_SHARE)))
    for label, sign in ((1, 1), (0, -1)):
        mean, deviation = moments.mean[label], moments.deviation[label]
        log_odds -= sign * (((X - mean) / deviation) ** 2 / 2 + np.log(deviation)).sum(axis=1)
    probability: Probabilities = 1 / (1 + np.exp(-log_odds))
    return probability


def _real(name: str, file: Path, peer: Path) -> Figure:
    """Compare with LightGBM on the same splits of one of the real data sets."""
    spec = read_spec(Path(__file__).parent / "specs" / f"{name}.toml")
    rows = pl.read_csv(file).drop(spec.data.exclude).unique(maintain_order=True)
    rows = rows.sample(REAL_ROWS, seed=0, shuffle=True) if REAL_ROWS else rows
    pairs = []
    for split in islice(_splits(spec, rows), SPLITS_RUN):
        ours = _ours(split, spec)
        pairs.append(ours | _lightgbm(split, peer, ours["seconds"]))
    means = {key: float(np.mean([pair[key] for pair in pairs])) for key in pairs[0]}
    ratio = means["f1"] / means["peer_f1"]
    figure = {"name": name, "rows": len(rows), "peer": "LightGBM", "ratio": ratio}
    return figure | means | {"splits": pairs}


def _ours(split: _Split, spec: Spec) -> dict[str, float]:
    began = time.perf_counter()
    model, threshold = select_and_fit(split.X, split.y, split.layout, spec)
    seconds = time.perf_counter() - began
    answer = model.predict_proba(split.unseen)[:, 1]
    return {"f1": split.f1(answer, threshold), "seconds": seconds}


def _lightgbm(split: _Split, peer: Path, seconds: float) -> dict[str, float]:
    """Have LightGBM tuned on the same rows, in its own environment, for at least so long."""
    layout = split.layout
    categories = [at for at, name in enumerate(layout.features) if name in layout.categories]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "answered.npz"
        places = np.array(categories, np.int64)
        np.savez(asked, X=split.X, y=split.y, holdout=split.unseen, categories=places)
        script = Path(__file__).with_name("lightgbm_peer.py")
        command = list(map(str, [peer, script, asked, answered, 0, SETTINGS, seconds]))
        printed = subprocess.check_output(command, text=True)  # noqa: S603 - our own script
        with np.load(answered) as arrays:
            probability = arrays["probability"]
    told = json.loads(printed.splitlines()[-1])
    return {
        "peer_f1": split.f1(probability, told["threshold"]),
        "peer_seconds": told["seconds"],
        "peer_settings": told["tried"],
    }


def _layout(spec: Spec, train: pl.DataFrame) -> Layout:
    """Return how rows become a matrix: texts are categories, those that the train side has."""
    features = spec.data.feature_columns(tuple(train.columns))
    texts = [name for name in features if train.schema[name] == pl.String]
    return Layout(features, {name: tuple(train[name].unique().sort()) for name in texts})


def _matrix(layout: Layout, rows: pl.DataFrame) -> Matrix:
    if not layout.categories:
        return np.ascontiguousarray(rows.select(layout.features).to_numpy(), dtype=np.float32)
    columns = [encode_column(layout, name, rows[name].to_list()) for name in layout.features]
    return np.ascontiguousarray(np.column_stack(columns), dtype=np.float32)


def _splits(spec: Spec, rows: pl.DataFrame) -> Iterator[_Split]:
    """Yield stratified splits; rows are laid out as the rows to fit on have them."""
    y = (rows[spec.data.target].cast(str) == str(spec.data.positive)).to_numpy().astype(np.int8)
    folds = StratifiedKFold(SPLITS, shuffle=True, random_state=0)
    for known, unseen in folds.split(np.zeros(len(y)), y):
        layout = _layout(spec, rows[known])
        X = _matrix(layout, rows)
        yield _Split(layout, X[known], y[known], X[unseen], y[unseen])


def _table(figures: Sequence[Figure]) -> Table:
    table = Table("data", "rows", "F1", "peer", "its F1", "ratio", "seconds", "its seconds")
    for one in figures:
        table.add_row(
            one["name"],
            f"{one['rows']:,}",
            f"{one['f1']:.4f}",
            one["peer"],
            f"{one['peer_f1']:.4f}",
            f"{one['ratio']:.4f}",
            f"{one['seconds']:.0f}",
            f"{one['peer_seconds']:.0f}" if "peer_seconds" in one else "",
        )
    return table


if __name__ == "__main__":
    main()
