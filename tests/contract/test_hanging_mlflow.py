"""An MLflow that takes questions and answers none is waited for by the clock, and told of."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import environment_variables as options
from mlflow.exceptions import MlflowException

from include.adapters.registry import Registry, open_registry, timed_retry
from include.cli.deadline import blame_the_place
from include.context.places import Need, Place, places
from include.errors import AwayError, NothingToDoError
from include.settings import read_settings
from include.spec.model_spec import Spec

WAITED = "MLflow did not answer, or with an error; asked again, for 0 minutes at most"


@pytest.fixture
def hanging() -> Iterator[int]:
    """Return the port of a server that listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def registry(hanging: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Return the registry of a step there, whose patience is a second in all and for each try."""
    monkeypatch.setattr(timed_retry, "LONGEST_SECONDS", 1.0)
    before = options.MLFLOW_HTTP_REQUEST_TIMEOUT.get()
    options.MLFLOW_HTTP_REQUEST_TIMEOUT.set(1)
    yield open_registry(f"http://127.0.0.1:{hanging}", "cats", "cats")
    options.MLFLOW_HTTP_REQUEST_TIMEOUT.set(before)


def test_a_step_waits_by_the_clock(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """Its 240 tries, of two minutes each, do not keep a run for hours; the log has a sentence."""
    began = time.monotonic()
    with caplog.at_level(logging.INFO), pytest.raises(MlflowException):
        registry.ownership.require_owner()
    assert time.monotonic() - began < 20
    own = [record for record in caplog.records if record.thread == threading.get_ident()]
    assert [record.getMessage() for record in own if record.name == "ratchet"] == [WAITED]


def test_a_step_that_gave_up_says_who_does_not_answer(
    registry: Registry, hanging: int, spec: Spec, tmp_path: Path
) -> None:
    """One sentence without the words of a library; it is what the run's note says."""
    home = {"RATCHET_HOME": str(tmp_path), "RATCHET_MLFLOW_PORT": str(hanging)}
    needed = places([Need.REGISTRY], spec, read_settings(home))
    with pytest.raises(AwayError) as raised, blame_the_place(needed, 0.5):
        registry.ownership.require_owner()
    assert str(raised.value).startswith(
        f"MLflow at http://127.0.0.1:{hanging} does not answer: no answer within 0.5 s."
    )


def test_a_step_that_is_answered_with_errors_says_who_answers() -> None:
    """As where MLflow may not write its files: it is up, and has an error for what is asked."""
    up = Place("MLflow at http://here", lambda _: "", "advice")
    with pytest.raises(AwayError) as raised, blame_the_place([up], 0.5):
        raise MlflowException("too many 500 error responses")
    assert str(raised.value) == (
        "MLflow at http://here: there was an answer, but not to all that was asked: too many 500 "
        "error responses. Try again, and look at the log there"
    )


def test_another_failure_is_left_as_it_is(hanging: int, spec: Spec, tmp_path: Path) -> None:
    """Whoever did not fail in asking MLflow is not told that it is away."""
    home = {"RATCHET_HOME": str(tmp_path), "RATCHET_MLFLOW_PORT": str(hanging)}
    needed = places([Need.REGISTRY], spec, read_settings(home))
    for failure in (NothingToDoError("no row is new"), ValueError("out of bounds")):
        with pytest.raises(type(failure)) as raised, blame_the_place(needed, 0.5):
            raise failure
        assert raised.value is failure
