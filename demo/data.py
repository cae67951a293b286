"""Santander-shaped deliveries: what lands in the demo, the tests and the benchmarks.

Independent Gaussians with the class moments of the real data. They carry what matters for a
classifier of this kind: 200 weak features, one positive in ten, and a Bayes rule that bounds every
model (AUC .888, best F1 .551).

Source of `santander_moments.csv`: mean and standard deviation of each feature in each class of the
train set of the Kaggle competition "Santander Customer Transaction Prediction" (2019): 200,000
rows, share of positives 0.10049, values printed with four decimals.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

POSITIVE_SHARE = 0.10049
PULSAR_SHARE = 0.0916
MOMENTS = Path(__file__).with_name("santander_moments.csv")


@dataclass(frozen=True)
class Moments:
    """Per-class moments of the features; each array has shape (2, features), row 1 positive."""

    features: tuple[str, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def santander_moments() -> Moments:
    """Read the figures file."""
    with MOMENTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Moments(
        tuple(row["feature"] for row in rows),
        np.array([[float(row[f"mean_{c}"]) for row in rows] for c in (0, 1)]),
        np.array([[float(row[f"std_{c}"]) for row in rows] for c in (0, 1)]),
    )


def santander_rows(rows: int, seed: int) -> pl.DataFrame:
    """Return rows as the real file has them: `ID_code`, `target`, `var_0` to `var_199`."""
    rng = np.random.default_rng(seed)
    moments = santander_moments()
    target = (rng.random(rows) < POSITIVE_SHARE).astype(np.int64)
    values = rng.normal(moments.mean[target], moments.deviation[target]).round(4)
    features = pl.DataFrame(values, schema=list(moments.features))
    codes = [f"train_{seed}_{number}" for number in range(rows)]
    return features.select(
        pl.Series("ID_code", codes), pl.Series("target", target), *moments.features
    )


def pulsar_rows(rows: int, seed: int) -> pl.DataFrame:
    """Return rows of the size of the HTRU2 pulsar survey: eight features, one positive in eleven.

    The shape is that survey's (nine columns, `class` last, 9.2 % positive); the values are
    Gaussians two deviations apart in half of the features.
    """
    rng = np.random.default_rng(seed)
    target = (rng.random(rows) < PULSAR_SHARE).astype(np.int64)
    shift = np.array([2.0, 1.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0])
    values = rng.normal(target[:, None] * shift, 1.0, (rows, len(shift))).round(6)
    names = [f"profile_{number}" for number in range(len(shift))]
    return pl.DataFrame(values, schema=names).with_columns(pl.Series("class", target))


def break_rows(text: str) -> tuple[str, int]:
    """Spoil rows of a CSV text in the ways deliveries are spoilt; return it and how many."""
    header, *rows = text.splitlines()
    fields = [row.split(",") for row in rows[:5]]
    fields[0][7] = "n/a"
    fields[1][9] = "inf"
    fields[2][1] = "maybe"
    fields[3] = fields[3][:50]
    fields[4][12] = ""
    spoilt = [",".join(row) for row in fields]
    return "\n".join([header, *spoilt, *rows[5:]]) + "\n", len(spoilt)


def drop(folder: Path, name: str, text: str) -> float:
    """Put a file in a landing folder as a careful writer does.

    Returns when it was there, in seconds since the epoch.
    """
    partial = folder / f"{name}.part"
    partial.write_text(text)
    partial.rename(folder / name)
    return time.time()
