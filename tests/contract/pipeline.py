"""The steps called in the order in which the Dag calls them, without Airflow."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import mlflow
import polars as pl

from include.context.intake_context import IntakeContext
from include.context.step_context import StepContext
from include.records.data import Batch, Intake
from include.records.judging import Decision, Scores
from include.records.models import ModelVersion
from include.records.training import Elimination, FitJob, Form, Plan, Trial
from tests import steps

DAG_RUNS = (f"manual__{number}" for number in count())


@dataclass(frozen=True)
class Raced:
    """What the tasks of a race handed on to one another."""

    screened: list[list[Trial]]
    shortlisted: Elimination
    finalists: Elimination


@dataclass(frozen=True)
class Run:
    """What each step of one run returned."""

    batches: list[Batch]
    intake: Intake
    plan: Plan
    race: Raced
    fit_jobs: list[FitJob]
    challenger: ModelVersion
    scores: Scores
    decision: Decision


def drop(context: StepContext, rows: pl.DataFrame | str, name: str = "batch.csv") -> str:
    """Put a file into the landing folder and return its text."""
    text = rows if isinstance(rows, str) else rows.write_csv()
    context.landing.drop(name, text.encode())
    return text


def take_in(context: StepContext) -> Intake:
    """Run the steps that bring files into the lake."""
    return steps.split(context, steps.dedup(context, steps.ingest(context)))


def run(context: StepContext, form: Form | None = None) -> Run:
    """Run every step up to the decision."""
    form = form or Form()
    batches = steps.dedup(context, steps.ingest(context))
    intake = steps.split(context, batches)
    plan = steps.plan(context, intake, form, next(DAG_RUNS))
    screened = [steps.screen(context, plan, family.name) for family in context.spec.families]
    shortlisted = steps.shortlist(context, plan, screened)
    for fit_job in shortlisted.fit_jobs:
        steps.run_job(context, plan, fit_job)
    finalists = steps.finalists(context, plan, shortlisted.trials)
    fit_jobs = [steps.run_job(context, plan, fit_job) for fit_job in finalists.fit_jobs]
    challenger = steps.fit(context, plan, finalists.trials)
    scores = steps.score(context, plan, challenger)
    decision = steps.promote(context, plan, challenger, scores, form)
    raced = Raced(screened, shortlisted, finalists)
    return Run(batches, intake, plan, raced, fit_jobs, challenger, scores, decision)


def leaderboard(done: Run) -> list[dict[str, Any]]:
    """Return the leaderboard that a run has recorded, the winner first."""
    listed: list[dict[str, Any]] = mlflow.artifacts.load_dict(
        f"runs:/{done.plan.run_id}/leaderboard.json"
    )
    return listed


def rows(context: StepContext) -> pl.DataFrame:
    """Return every row of the table, its label as 0 or 1 and without the time of its arrival."""
    found = stored_rows(context)
    return found.with_columns(label=(pl.col("label") == "positive").cast(pl.Int8)).drop(
        "arrived_at"
    )


def stored_rows(context: IntakeContext) -> pl.DataFrame:
    """Return every row of the table as any program reads it."""
    return pl.read_delta(f"{context.lake.url}/rows")


def state(context: StepContext) -> tuple[object, ...]:
    """Return all that a repeated step must leave alone: rows, versions, aliases, runs, files."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(context.spec.name)
    assert experiment is not None
    versions = client.search_model_versions(f"name='{context.spec.model}'")
    places = (context.landing.url, f"{context.lake.url}/quarantine")
    files = [path for place in places for path in Path(place).rglob("*.csv")]
    return (
        rows(context).sort("key_high", "key_low").rows(),
        sorted((one.version, str(sorted(one.tags.items()))) for one in versions),
        dict(client.get_registered_model(context.spec.model).aliases),
        sorted(one.info.run_id for one in client.search_runs([experiment.experiment_id])),
        sorted(map(str, files)),
    )
