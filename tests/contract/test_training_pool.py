"""Only tasks of Airflow's training pool fit models, however a run went before."""

import ast
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.errors import RaceResultsMissingError
from include.records.training import Form
from include.settings import PROJECT
from include.steps import STEPS, race_opening
from tests import steps
from tests.contract.pipeline import DAG_RUNS, drop, run, take_in

ROWS = pulsar_rows(600, seed=4)


def steps_of_the_pool() -> Iterator[str]:
    """Yield the name of each step that is called by a task of the training pool."""
    for node in ast.walk(ast.parse((PROJECT / "dags" / "training_tasks.py").read_text())):
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(name, ast.Name) and name.id == "TRAINING"
            for decorator in node.decorator_list
            for name in ast.walk(decorator)
        ):
            for call in ast.walk(node):
                if isinstance(call, ast.Constant) and call.value in STEPS:
                    yield str(call.value)


@pytest.fixture
def fitted_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each fit of a candidate adds the step that it happens in."""
    running, fits = [""], []

    def noted(fit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fit)
        def fit_and_note(*args: Any, **options: Any) -> Any:
            fits.append(running[0])
            return fit(*args, **options)

        return fit_and_note

    def named(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            running[0] = name
            return step(*args)

        return call

    for estimator in (GaussianNB, LogisticRegression):
        monkeypatch.setattr(estimator, "fit", noted(estimator.fit))
    for name in steps.__all__:
        monkeypatch.setattr(steps, name, named(name, getattr(steps, name)))
    return fits


def test_a_task_outside_the_training_pool_never_fits(
    context: StepContext, fitted_in: list[str]
) -> None:
    """In a run, and where its tasks are cleared after the end, when all stored results are gone."""
    drop(context, ROWS)
    done = run(context)
    assert set(fitted_in) == {"screen", "run_job", "fit"} <= set(steps_of_the_pool())
    fitted_in.clear()
    again = steps.shortlist(context, done.plan, done.race.screened)
    assert again.fit_jobs == steps.finalists(context, done.plan, again.trials).fit_jobs == ()
    assert steps.fit(context, done.plan, again.trials) == done.challenger
    assert fitted_in == []


def test_the_train_side_is_laid_out_by_a_task_of_the_training_pool(context: StepContext) -> None:
    """To plan takes no more memory and disk where the rows are many."""
    drop(context, ROWS)
    plan = steps.plan(context, take_in(context), Form(), next(DAG_RUNS))
    folder = context.settings.scratch / "train_sides"
    assert list(folder.rglob("X.npy")) == []
    steps.screen(context, plan, context.spec.families[0].name)
    assert len(list(folder.rglob("X.npy"))) == 1
    assert "screen" in steps_of_the_pool()


def test_results_that_are_gone_within_a_run_are_not_fitted_outside_the_pool(
    context: StepContext, fitted_in: list[str]
) -> None:
    """The task fails and says which task to clear; that one fits again and the race goes on."""
    drop(context, ROWS)
    plan = steps.plan(context, take_in(context), Form(), next(DAG_RUNS))

    screened = [steps.screen(context, plan, family.name) for family in context.spec.families]
    shortlisted = steps.shortlist(context, plan, screened)
    race_opening.open_race(context, plan).results.clear()
    fitted_in.clear()
    with pytest.raises(RaceResultsMissingError, match=r"Clear the task select\.screen"):
        steps.shortlist(context, plan, screened)
    with pytest.raises(RaceResultsMissingError, match=r"Clear the task select\.screen"):
        steps.finalists(context, plan, shortlisted.trials)
    assert fitted_in == []
    screened = [steps.screen(context, plan, family.name) for family in context.spec.families]
    assert set(fitted_in) == {"screen"}
    again = steps.shortlist(context, plan, screened)
    assert [one.candidate for one in again.trials] == [one.candidate for one in shortlisted.trials]
