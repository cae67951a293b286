"""A fit that tells what memory it took.

Run by a test: `python -m tests.faults.in_little_memory HOME WAY`, WAY being `blocks` or `memory`.
Prints the peak of the fit beyond the imports in MiB and the ROC AUC on the holdout as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline

from include.context.intake_context import IntakeContext, intake_context
from include.records.data import Dataset
from include.records.row_columns import Side
from include.settings import read_settings
from include.spec.model_spec import Spec
from include.stages import fit as fit_stage
from include.stages import select as select_stage
from include.steps import fit_out_of_memory as fit_out_of_memory_step
from serving.bundle import Layout

MIB = 2**20
FEATURES, BATCHES, BATCH_ROWS = 60, 5, 185_000
NAMES = tuple(f"f{at}" for at in range(FEATURES))
LAYOUT = Layout(NAMES)
HOLDOUT = 0.05
MATRIX_MIB = FEATURES * BATCHES * BATCH_ROWS * (1 - HOLDOUT) * 4 / MIB
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
                # The sketch takes memory by the bin, however few rows there are.
                "params": {"xgbclassifier__n_estimators": 2, "xgbclassifier__max_bin": 64},
            }
        ],
    }
)


def opened(home: Path) -> IntakeContext:
    """Open the place of the table in a home."""
    return intake_context(
        SPEC, read_settings({"RATCHET_HOME": str(home), "RATCHET_FIT_MEMORY": "32"})
    )


def lay_out(context: IntakeContext) -> None:
    """Commit the batches, the second class one row in six."""
    for batch in range(BATCHES):
        draw = np.random.default_rng(batch)
        values = draw.standard_normal((FEATURES, BATCH_ROWS))
        keys = draw.integers(-(2**63), 2**63 - 1, (2, BATCH_ROWS))
        noisy = values[:8].sum(axis=0) + draw.standard_normal(BATCH_ROWS)
        held = pl.Series(draw.random(BATCH_ROWS) < HOLDOUT)
        rows = pl.DataFrame(dict(zip(NAMES, values, strict=True))).with_columns(
            label=pl.Series((noisy > 3).astype(np.int8)),
            key_high=pl.Series(keys[0]),
            key_low=pl.Series(keys[1]),
            side=pl.when(held).then(pl.lit(Side.HOLDOUT)).otherwise(pl.lit(Side.TRAIN)),
        )
        context.lake.commit(f"batch {batch}", [rows], context.lake.version())


def main() -> None:
    """Fit, then judge the model."""
    at, way = opened(Path(sys.argv[1])), sys.argv[2]
    imported = _status_mib("VmRSS")
    dataset = at.lake.dataset()
    if dataset is None:
        raise SystemExit(f"nothing was committed to {at.lake.url}")
    model = _fit(at, dataset, way)
    peak = _status_mib("VmHWM") - imported
    X, y = at.lake.matrix(dataset.version, Side.HOLDOUT, LAYOUT)
    auc = float(roc_auc_score(y, model.predict_proba(X)[:, 1]))
    sys.stdout.write(json.dumps({"peak_mib": peak, "auc": auc}))


def _fit(context: IntakeContext, dataset: Dataset, way: str) -> FixedThresholdClassifier:
    if way == "blocks":
        model, rows = fit_out_of_memory_step.fit(context, dataset, LAYOUT, _pipeline(), 0.3)
        if rows != dataset.train_rows:
            raise SystemExit(f"the model saw {rows} of {dataset.train_rows} rows")
        return model
    return fit_stage.fit(
        _pipeline(), 0.3, *context.lake.matrix(dataset.version, Side.TRAIN, LAYOUT)
    )


def _pipeline() -> Pipeline:
    family = SPEC.families[0]
    return select_stage.build(select_stage.candidates(family)[0], family, 0, LAYOUT)


def _status_mib(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
