"""An account that MLflow refuses is told what it lacks, by a real server with accounts."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from demo.data import pulsar_rows
from include.context.denied_access import access_required
from include.context.step_context import step_context
from include.errors import DeniedError
from include.records.training import Form
from include.settings import read_settings
from include.spec.model_spec import Spec
from tests.contract.pipeline import drop, run
from tests.serving.accounts import Account, GuardedMlflow


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    """Return a server that asks everybody who they are."""
    before = mlflow.get_tracking_uri()
    server = GuardedMlflow(tmp_path_factory.mktemp("guarded"))
    yield server
    server.stop()
    mlflow.set_tracking_uri(before)


def ask(account: Account, server: GuardedMlflow, spec: Spec, home: Path) -> None:
    """Open a run of the spec as an account, as `plan` does."""
    settings = replace(read_settings({"RATCHET_HOME": str(home)}), registry=server.url)
    with pytest.MonkeyPatch.context() as patch:
        for name, text in account.variables().items():
            patch.setenv(name, text)
        with access_required(spec, settings):
            step_context(spec, settings).registry.runs.open(f"manual__{account.name}", 1, {})


def test_an_account_is_told_what_it_lacks(
    guarded: GuardedMlflow, spec: Spec, tmp_path: Path
) -> None:
    """By its name, with the address and what to give it; a stranger is asked for another."""
    ask(guarded.admin, guarded, spec, tmp_path)
    reader = guarded.reader("reader")
    with pytest.raises(DeniedError, match="does not let reader do what the spec") as said:
        ask(reader, guarded, spec, tmp_path)
    assert (
        f"MANAGE on the experiments {spec.name} and {spec.name} ledger and on the registered model"
        in str(said.value)
    )
    guarded.deny(reader, spec.name)
    with pytest.raises(DeniedError, match="does not let reader"):
        ask(reader, guarded, spec, tmp_path)
    with pytest.raises(DeniedError, match=f"{guarded.url} asks for an account that it knows"):
        ask(Account("nobody"), guarded, spec, tmp_path)
    assert "nobody" not in os.environ.values()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    """Return a server where nobody may even read what another has made."""
    before = mlflow.get_tracking_uri()
    server = GuardedMlflow(tmp_path_factory.mktemp("closed"), "NO_PERMISSIONS")
    yield server
    server.stop()
    mlflow.set_tracking_uri(before)


def test_an_account_without_any_permission_trains_what_it_made_itself(
    closed: GuardedMlflow, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, with a champion; another account is told what it lacks and sees nothing."""
    pipeline, stranger = closed.reader("pipeline"), closed.reader("stranger")
    settings = replace(read_settings({"RATCHET_HOME": str(tmp_path)}), registry=closed.url)
    with monkeypatch.context() as patch:
        for name, text in pipeline.variables().items():
            patch.setenv(name, text)
        context = step_context(spec, settings)
        for number in (1, 2):
            drop(context, pulsar_rows(600, seed=number), f"{number}.csv")
            run(context, Form(force=True))
        champion = context.registry.champion.current()
        assert champion is not None
        assert champion.version == "2"
    with pytest.raises(DeniedError, match="does not let stranger do what the spec"):
        ask(stranger, closed, spec, tmp_path)
