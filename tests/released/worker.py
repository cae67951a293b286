"""Runs the pipeline of an older version, as the Dag does without Airflow, on a few deliveries.

Run as a script by `make`, with PYTHONPATH naming the older tree: everything that is imported from
`include` is that version's.
"""

import io
import json
import sys
import urllib.request
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

# By name, because it is another tree's: the one that these are checked with has them elsewhere.
steps: Any = import_module("include.steps")
RollBack: Any = import_module("include.moves").RollBack
Form: Any = import_module("include.records").Form
read_settings: Any = import_module("include.settings").read_settings
read_spec: Any = import_module("include.spec").read_spec
workplace: Any = import_module("include.workplace").workplace

ROWS = 900
ASKED = 40
SPECS = {
    "loans": """
title = "Loans"
model = "loans-model"
[data]
target = "defaulted"
positive = "Yes"
negative = "No"
id = "loan_id"
categorical = ["plan", "zip"]
missing = ["income", "plan"]
[selection]
folds = 3
[[families]]
name = "logistic_regression"
pipeline = ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"]
[[families]]
name = "xgboost"
pipeline = ["xgboost.XGBClassifier"]
params = { xgbclassifier__n_estimators = 20, xgbclassifier__max_depth = 2 }
[[families]]
name = "forest"
pipeline = ["sklearn.ensemble.RandomForestClassifier"]
params = { randomforestclassifier__n_estimators = 10, randomforestclassifier__max_depth = 4 }
""",
    "sensors": """
title = "Sensors"
model = "sensors-model"
[data]
target = "fault"
[selection]
folds = 3
[[families]]
name = "ada_boost"
pipeline = ["sklearn.preprocessing.StandardScaler", "sklearn.ensemble.AdaBoostClassifier"]
params = { adaboostclassifier__n_estimators = 10 }
""",
}
"""Texts, gaps and an id; and numbers alone, stored as float64."""
_runs = count(1)


def main(home: Path, mlflow_port: str, serving_port: str) -> None:
    """Write the specs, take the deliveries in, train, promote, roll back; note the answers."""
    specs = home / "specs"
    specs.mkdir()
    for name, text in SPECS.items():
        (specs / f"{name}.toml").write_text(text)
    settings = read_settings(
        {
            "RATCHET_HOME": str(home),
            "RATCHET_SPECS": str(specs),
            "RATCHET_MLFLOW_PORT": mlflow_port,
            "RATCHET_SERVING_PORT": serving_port,
        }
    )
    answers: list[dict[str, Any]] = []
    for name in SPECS:
        context = workplace(read_spec(specs / f"{name}.toml"), settings)
        for file, content in deliveries(name):
            context.landing.drop(file, content)
            version = train(context)
            if version is not None:
                answers.append(answer(settings.serving_url, name, version))
        if name == "loans":
            steps.roll_back(context, RollBack("fixture", 1, "the older one, please", "a person"))
            answers.append(answer(settings.serving_url, name, steps.serve(context, None).version))
    (home / "answers.json").write_text(json.dumps(answers))


def train(context: Any) -> str | None:
    """Run every step on what waits; return the version that serves then, None for no new rows."""
    intake = steps.split(context, steps.dedup(context, steps.ingest(context)))
    if not any(batch.new for batch in intake.batches):
        return None
    form = Form(force=True)
    plan = steps.plan(context, intake, form, f"manual__{next(_runs)}")
    screened = [steps.screen(context, plan, family.name) for family in context.spec.families]
    for heat in steps.shortlist(context, plan, screened):
        steps.heat(context, plan, heat)
    for heat in steps.finalists(context, plan, screened):
        steps.heat(context, plan, heat)
    challenger = steps.fit(context, plan, screened)
    scores = steps.score(context, plan, challenger)
    checked = steps.preflight(context, plan, challenger, steps.decide(context, scores, form))
    steps.promote(context, plan, challenger, scores, form, None, checked)
    return str(steps.serve(context, plan).version)


def deliveries(name: str) -> list[tuple[str, bytes]]:
    """Return the files of a spec in their order: new rows, rows again, bad rows, no table."""
    if name == "sensors":
        return [(f"{day}.parquet", _parquet(sensors(day))) for day in range(2)]
    first, second = loans(0), loans(1)
    again = pl.concat([first.head(100), second])
    bad = second.head(3).with_columns(age=pl.lit("old"), loan_id=pl.lit("bad"))
    mixed = again.cast(pl.String).vstack(bad.cast(pl.String))
    return [
        ("january.csv", first.write_csv().encode()),
        ("february.csv", mixed.write_csv().encode()),
        ("readme.csv", b"this is no table\n"),
        ("march.jsonl", loans(2).write_ndjson().encode()),
    ]


def loans(seed: int) -> pl.DataFrame:
    """Return loans of a month: an id, numbers with gaps, texts, and whether it was paid back."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, ROWS)
    income = np.round(rng.lognormal(8, 0.5, ROWS), 2)
    plan = rng.choice(["basic", "plus", "pro"], ROWS)
    risk = 1.5 * (age < 30) + 1.2 * (plan == "basic") - 0.0004 * income + rng.normal(0, 0.7, ROWS)
    return pl.DataFrame(
        {
            "loan_id": [f"L{seed}-{row}" for row in range(ROWS)],
            "age": age,
            "income": pl.Series(income).set(pl.Series(rng.random(ROWS) < 0.1), None),
            "plan": pl.Series(plan).set(pl.Series(rng.random(ROWS) < 0.05), None),
            "zip": rng.choice(["01234", "98765", "10115"], ROWS),
            "defaulted": np.where(risk > 0.2, "Yes", "No"),
        }
    )


def sensors(seed: int) -> pl.DataFrame:
    """Return readings that no float32 holds, as float64, and whether the machine failed."""
    rng = np.random.default_rng(100 + seed)
    values = rng.normal(0, 1, (ROWS, 4))
    fault = (values[:, 0] + 0.5 * values[:, 1] ** 2 + rng.normal(0, 0.5, ROWS) > 1.2).astype(int)
    names = ("heat", "noise", "speed", "load")
    return pl.DataFrame(dict(zip(names, values.T, strict=True))).with_columns(fault=fault)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def answer(url: str, name: str, version: str) -> dict[str, Any]:
    """Ask the endpoint for some rows; return the request's body and what it answered."""
    frame = loans(9) if name == "loans" else sensors(9)
    features = frame.head(ASKED).drop("loan_id", "defaulted", "fault", strict=False)
    inputs = [
        {
            "name": column.name,
            "shape": [len(column), 1],
            "datatype": "BYTES" if column.dtype == pl.String else "FP64",
            "data": column.to_list(),
        }
        for column in features
    ]
    body = {"inputs": inputs}
    request = urllib.request.Request(
        f"{url}/v2/models/{name}-model/infer",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "X-Request-Id": f"{name}-{version}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        outputs = json.load(response)["outputs"]
    return {
        "model": f"{name}-model",
        "version": version,
        "request": body,
        "outputs": {output["name"]: output["data"] for output in outputs},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
