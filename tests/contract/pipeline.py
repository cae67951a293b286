"""The steps called in the order in which the Dag calls them, without Airflow."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import mlflow
import polars as pl

from include.context.step_context import Workplace
from include.records.records import (
    Batch,
    Decision,
    Form,
    Heat,
    Intake,
    ModelVersion,
    Plan,
    Scores,
    Trial,
)
from include.steps import pipeline as pipeline_step

DAG_RUNS = (f"manual__{number}" for number in count())


@dataclass(frozen=True)
class Run:
    """What each step of one run returned."""

    batches: list[Batch]
    intake: Intake
    plan: Plan
    screened: list[list[Trial]]
    heats: list[Heat]
    challenger: ModelVersion
    scores: Scores
    decision: Decision


def drop(at: Workplace, rows: pl.DataFrame | str, name: str = "batch.csv") -> str:
    """Put a file into the landing folder and return its text."""
    text = rows if isinstance(rows, str) else rows.write_csv()
    at.landing.drop(name, text.encode())
    return text


def take_in(at: Workplace) -> Intake:
    """Run the steps that bring files into the lake."""
    return pipeline_step.split(at, pipeline_step.dedup(at, pipeline_step.ingest(at)))


def run(at: Workplace, form: Form | None = None) -> Run:
    """Run every step up to the decision."""
    form = form or Form()
    batches = pipeline_step.dedup(at, pipeline_step.ingest(at))
    intake = pipeline_step.split(at, batches)
    plan = pipeline_step.plan(at, intake, form, next(DAG_RUNS))
    screened = [pipeline_step.screen(at, plan, family.name) for family in at.spec.families]
    for heat in pipeline_step.shortlist(at, plan, screened):
        pipeline_step.heat(at, plan, heat)
    heats = [
        pipeline_step.heat(at, plan, heat) for heat in pipeline_step.finalists(at, plan, screened)
    ]
    challenger = pipeline_step.fit(at, plan, screened)
    scores = pipeline_step.score(at, plan, challenger)
    decision = pipeline_step.promote(at, plan, challenger, scores, form)
    return Run(batches, intake, plan, screened, heats, challenger, scores, decision)


def leaderboard(done: Run) -> list[dict[str, Any]]:
    """Return the leaderboard that a run has recorded, the winner first."""
    listed: list[dict[str, Any]] = mlflow.artifacts.load_dict(
        f"runs:/{done.plan.run_id}/leaderboard.json"
    )
    return listed


def rows(at: Workplace) -> pl.DataFrame:
    """Return every row of the table."""
    return pl.read_delta(f"{at.lake.url}/rows")


def state(at: Workplace) -> tuple[object, ...]:
    """Return all that a repeated step must leave alone: rows, versions, aliases, runs, files."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(at.spec.name)
    assert experiment is not None
    versions = client.search_model_versions(f"name='{at.spec.model}'")
    places = (at.landing.url, f"{at.lake.url}/quarantine")
    files = [path for place in places for path in Path(place).rglob("*.csv")]
    return (
        rows(at).sort("key_high", "key_low").rows(),
        sorted((one.version, str(sorted(one.tags.items()))) for one in versions),
        dict(client.get_registered_model(at.spec.model).aliases),
        sorted(one.info.run_id for one in client.search_runs([experiment.experiment_id])),
        sorted(map(str, files)),
    )
