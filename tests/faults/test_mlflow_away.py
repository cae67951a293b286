"""MLflow away in the middle of a step costs the time it is away, and nothing is there twice."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

import mlflow
import pytest

from demo.data import pulsar_rows
from include.context.step_context import StepContext, step_context
from include.records.training import Form
from include.settings import read_settings
from include.spec.model_spec import Spec
from tests import steps
from tests.contract.pipeline import DAG_RUNS, drop, state, take_in
from tests.serving.registries import MlflowServer
from tests.suite_profile import PROFILE

AWAY_SECONDS = PROFILE.mlflow_away_seconds
LATE_SECONDS = 10.0
"""A pause of the client that had just begun, and the step's own work on a busy machine."""
Away = Callable[[MlflowServer], None]
Result = TypeVar("Result")
NAMES = (f"away-{number}" for number in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Return a server of these tests alone, because they take it away."""
    started = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield started
    started.stop()


@pytest.fixture
def context(server: MlflowServer, spec: Spec, tmp_path: Path) -> StepContext:
    """Return a context on that server."""
    name, port = next(NAMES), server.url.rpartition(":")[2]
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_MLFLOW_PORT": port})
    return step_context(spec.model_copy(update={"name": name, "model": name}), settings)


def frozen(server: MlflowServer) -> None:
    """Let the server take connections and answer nobody."""
    os.killpg(server._process.pid, signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    os.killpg(server._process.pid, signal.SIGCONT)


def killed(server: MlflowServer) -> None:
    """Kill the server and start it again on the same port and store."""
    os.killpg(server._process.pid, signal.SIGKILL)
    server._process.wait()
    time.sleep(AWAY_SECONDS)
    server._process = server._start()


def meanwhile(away: Away, server: MlflowServer, step: Callable[[], Result]) -> Result:
    """Run a step while the server is away; it ends soon after the server is back."""
    back: list[float] = []

    def gone() -> None:
        away(server)
        back.append(time.monotonic())

    thread = threading.Thread(target=gone)
    thread.start()
    time.sleep(0.1)
    result = step()
    returned = time.monotonic()
    thread.join()
    assert 0 < returned - back[0] < LATE_SECONDS
    return result


AWAY: dict[str, Away] = {"frozen": frozen, "killed": killed}


@pytest.mark.parametrize("how", AWAY)
def test_it_costs_the_time_it_is_away(context: StepContext, server: MlflowServer, how: str) -> None:
    """Fit, score and promote wait for it; one version, one move, one decision are recorded."""
    drop(context, pulsar_rows(700, seed=3))
    plan = steps.plan(context, take_in(context), Form(), next(DAG_RUNS))
    screened = [steps.screen(context, plan, family.name) for family in context.spec.families]
    shortlisted = steps.shortlist(context, plan, screened)
    for fit_job in shortlisted.fit_jobs:
        steps.run_job(context, plan, fit_job)
    trials = steps.finalists(context, plan, shortlisted.trials).trials
    challenger = meanwhile(AWAY[how], server, lambda: steps.fit(context, plan, trials))
    scores = meanwhile(AWAY[how], server, lambda: steps.score(context, plan, challenger))
    meanwhile(AWAY[how], server, lambda: steps.promote(context, plan, challenger, scores, Form()))
    before = state(context)
    assert [move.version for move in context.registry.champion.moves()] == ["1"]
    assert len(mlflow.MlflowClient().search_model_versions(f"name='{context.spec.model}'")) == 1
    steps.promote(context, plan, challenger, scores, Form())
    assert state(context) == before
