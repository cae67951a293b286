"""A spec with categories and gaps, rows for it, and workplaces that need no MLflow."""

import io
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from include.cli import main as command
from include.context.step_context import StepContext, step_context
from include.records.data import Batch
from include.settings import read_settings
from include.spec.model_spec import Spec
from tests.contract.pipeline import take_in

SPEC = """
title = "Bank"
model = "bank"
[data]
target = "y"
positive = "yes"
negative = "no"
missing = ["balance", "job"]
[[families]]
name = "tree"
pipeline = ["sklearn.tree.DecisionTreeClassifier"]
"""
JOBS = ("NA", "admin", "blue, collar", 'self "made"')
DATA = {
    "target": "y",
    "positive": "yes",
    "negative": "no",
    "missing": ("balance", "job"),
}


def bank_spec(name: str = "bank", **data: Any) -> Spec:
    """Return a spec with two numbers and a category, some of its data part changed."""
    families = [
        {"name": name, "pipeline": pipeline, "params": params}
        for name, (pipeline, params) in FAMILIES.items()
    ]
    return Spec.model_validate(
        {
            "name": name,
            "model": name,
            "title": "Bank",
            "data": DATA | data,
            "selection": {"screened_rows": 300, "finalists": 3},
            "families": families,
        }
    )


FAMILIES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "logistic_regression": (
        ("sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"),
        {},
    ),
    "random_forest": (
        ("sklearn.ensemble.RandomForestClassifier",),
        {"randomforestclassifier__n_estimators": 20},
    ),
    "xgboost": (("xgboost.XGBClassifier",), {"xgbclassifier__n_estimators": 20}),
}


def bank_rows(rows: int, seed: int) -> pl.DataFrame:
    """Return distinct rows: `age`, `balance` and `job` with gaps, `y` that follows from them."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    balance = rng.normal(0, 1000, rows).round(3)
    job = rng.integers(0, len(JOBS), rows)
    chance = 1 / (1 + np.exp(3 - (age - 50) / 10 - 2 * (job == 1) - balance / 1000))
    gap = rng.random((2, rows)) < 0.05
    return pl.DataFrame(
        {
            "age": age,
            "balance": pl.Series(np.where(gap[0], np.nan, balance)).fill_nan(None),
            "job": [
                None if empty else JOBS[place] for place, empty in zip(job, gap[1], strict=True)
            ],
            "y": np.where(rng.random(rows) < chance, "yes", "no"),
        }
    ).unique(["age", "balance", "job"], keep="first", maintain_order=True)


def bank_at(home: Path, environment: Mapping[str, str] | None = None, **data: Any) -> StepContext:
    """Open the context of the spec, as changed, in a home or where the environment says."""
    settings = read_settings({"RATCHET_HOME": str(home), **(environment or {})})
    return step_context(bank_spec(**data), settings)


def deliver(context: StepContext, content: str | bytes, name: str = "batch.csv") -> Batch:
    """Drop one file, run, and return what became of it."""
    context.landing.drop(name, content.encode() if isinstance(content, str) else content)
    (batch,) = take_in(context).batches
    return batch


class Said(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


def ratchet(home: Path, *words: str, spec: str = SPEC) -> Said:
    """Call `./ratchet` in this process, on a spec of this text."""
    specs = home / "specs"
    specs.mkdir(exist_ok=True)
    (specs / "bank.toml").write_text(spec)
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("RATCHET_HOME", str(home))
        patch.setenv("RATCHET_SPECS", str(specs))
        patch.setattr(sys, "argv", ["ratchet", *words])
        code = command.main()
    return Said(code, out.getvalue(), err.getvalue())
