"""What XGBoost takes where the train side is larger than the memory that a fit may hold.

Ratchet: fitted from the Delta table in external memory, with RATCHET_FIT_MEMORY far below the size
of the float32 train matrix. Peer: the same candidate fitted on the matrix in memory. Each in a
process of its own with one thread, one after the other; the peak is that of resident memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from include.context.intake_context import IntakeContext, intake_context
from include.records.row_columns import Side
from include.settings import read_settings
from include.spec.model_spec import Spec
from include.stages import fit as fit_stage
from include.stages import select as select_stage
from include.steps import fit_out_of_memory as fit_out_of_memory_step
from serving.bundle import Layout

QUICK = bool(os.environ.get("QUICK"))
FEATURES = 60 if QUICK else 100
BATCHES = 2 if QUICK else 7
BATCH_ROWS, HOLDOUT = 200_000, 0.05
MIB = 2**20
MATRIX_MIB = FEATURES * BATCHES * BATCH_ROWS * (1 - HOLDOUT) * 4 / MIB
HELD_MIB = 64
NAMES = tuple(f"f{at}" for at in range(FEATURES))
LAYOUT = Layout(NAMES)
SPEC = Spec.model_validate(
    {
        "name": "large",
        "model": "large-model",
        "title": "Large",
        "data": {"target": "y"},
        "families": [
            {
                "name": "xgboost",
                "pipeline": ["xgboost.XGBClassifier"],
                "params": {"xgbclassifier__n_estimators": 5 if QUICK else 10},
            }
        ],
    }
)
Figure = dict[str, float]


def main() -> None:
    """Run the benchmark and print its table and, last, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", choices=("blocks", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        print(json.dumps(_fit(_open(asked.home), asked.way)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _lay_out(_open(Path(folder)))
        figures = {way: _apart(Path(folder), way) for way in ("blocks", "memory")}
    Console(highlight=False).print(_table(figures))
    told = {"benchmark": "outgrown", "quick": QUICK, "matrix_mib": MATRIX_MIB}
    print(json.dumps(told | {"held_mib": HELD_MIB, **figures}))


def _fit(context: IntakeContext, way: str) -> Figure:
    """Fit one way and tell what it took; the clock runs from the table to the model."""
    dataset = context.lake.dataset()
    if dataset is None:
        raise SystemExit(f"nothing was committed to {context.lake.url}")
    imported = _status_mib("VmRSS")
    family = SPEC.families[0]
    pipeline = select_stage.build(select_stage.candidates(family)[0], family, 0, LAYOUT)
    began = time.perf_counter()
    if way == "blocks":
        model, _ = fit_out_of_memory_step.fit(context, dataset, LAYOUT, pipeline, 0.5)
    else:
        X, y = context.lake.matrix(dataset.version, Side.TRAIN, LAYOUT)
        model = fit_stage.fit(pipeline, 0.5, X, y)
    seconds, peak = time.perf_counter() - began, _status_mib("VmHWM") - imported
    X, y = context.lake.matrix(dataset.version, Side.HOLDOUT, LAYOUT)
    auc = float(roc_auc_score(y, model.predict_proba(X)[:, 1]))
    return {"seconds": seconds, "peak_mib": peak, "auc": auc}


def _apart(folder: Path, way: str) -> Figure:
    call = [sys.executable, "-m", "benchmarks.outgrown", f"--way={way}", f"--home={folder}"]
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    answer = subprocess.check_output(call, env=os.environ | one)  # noqa: S603 - ourselves
    figure: Figure = json.loads(answer.splitlines()[-1])
    return figure


def _lay_out(context: IntakeContext) -> None:
    for batch in range(BATCHES):
        draw = np.random.default_rng(batch)
        values = draw.standard_normal((FEATURES, BATCH_ROWS))
        keys = draw.integers(-(2**63), 2**63 - 1, (2, BATCH_ROWS))
        noisy = values[:20].sum(axis=0) + 3 * draw.standard_normal(BATCH_ROWS)
        held = pl.Series(draw.random(BATCH_ROWS) < HOLDOUT)
        rows = pl.DataFrame(dict(zip(NAMES, values, strict=True))).with_columns(
            label=pl.Series((noisy > 7).astype(np.int8)),  # noqa: PLR2004 - one in ten
            key_high=pl.Series(keys[0]),
            key_low=pl.Series(keys[1]),
            side=pl.when(held).then(pl.lit(Side.HOLDOUT)).otherwise(pl.lit(Side.TRAIN)),
        )
        context.lake.commit(f"batch {batch}", [rows], context.lake.version())


def _open(home: Path) -> IntakeContext:
    held = {"RATCHET_FIT_MEMORY": str(HELD_MIB)}
    return intake_context(SPEC, read_settings({"RATCHET_HOME": str(home)} | held))


def _status_mib(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def _table(figures: dict[str, Figure]) -> Table:
    title = f"a train side of {MATRIX_MIB:.0f} MiB as float32, {FEATURES} features"
    table = Table("fitted", "s", "peak MiB beyond imports", "ROC AUC", title=title)
    for way, name in (("blocks", "from the table"), ("memory", "in memory")):
        one = figures[way]
        table.add_row(name, f"{one['seconds']:.1f}", f"{one['peak_mib']:.0f}", f"{one['auc']:.4f}")
    return table


if __name__ == "__main__":
    main()
