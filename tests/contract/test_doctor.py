"""`./ratchet doctor`: what does not agree with the rest is said, and nothing changes."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from demo.data import pulsar_rows
from include.adapters.dag_switch import DagSwitch
from include.adapters.endpoint import Endpoint
from include.adapters.lake import Lake
from include.cli.doctor import doctor
from include.context.step_context import StepContext
from include.errors import UnhealthyError
from serving.app import make_app, make_server
from serving.configuration.settings import read_settings
from serving.models.holder import Holder
from serving.registry.local_copies import LocalCopies
from serving.registry.registry import MlflowRegistry
from serving.registry.watch import Watch
from serving.traffic.drain import Drain
from tests.contract.bank import ratchet
from tests.contract.lost_rows import (
    change_a_data_file,
    delete_rows,
    empty_the_newest_entry,
    land_again,
    lose_a_data_file,
    lose_table,
    lose_the_newest_entries,
)
from tests.contract.pipeline import drop, run, state, take_in
from tests.serving.parts import on_a_port
from tests.serving.registries import MlflowServer

Deed = Callable[[StepContext], None]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a registry of these tests alone: their server loads every model in it."""
    before, server = mlflow.get_tracking_uri(), MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server.url
    server.stop()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def registry_url(mlflow_url: str) -> str:
    """Return MLflow's server: the endpoint follows it."""
    return mlflow_url


@pytest.fixture(scope="module")
def promoted(
    new_context: Callable[[], StepContext],
    mlflow_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StepContext]:
    """Return a context with a champion that a real server holds."""
    context = new_context()
    drop(context, pulsar_rows(600, seed=9))
    run(context)
    holder, shelf = Holder(), LocalCopies(tmp_path_factory.mktemp("serving"))
    watch = Watch(MlflowRegistry(mlflow_url), holder, shelf)
    settings = read_settings({"SERVING_GRPC_PORT": "0", "SERVING_POLL_SECONDS": "0.1"})
    with on_a_port(make_app(make_server(settings, holder, watch, Drain(0.0)))) as url:
        served = replace(context, endpoint=Endpoint(url, context.spec.model))
        served.endpoint.wait_for("1", 60)
        yield served


def found(context: StepContext) -> list[str]:
    """Return the findings."""
    said: list[str] = []
    with suppress(UnhealthyError):
        for line in doctor(context):
            said.append(line)  # noqa: PERF402 - what was said before an error counts
    return [line.removeprefix("! ") for line in said if line.startswith("! ")]


def test_what_agrees_is_healthy_and_looking_changes_nothing(promoted: StepContext) -> None:
    """Every source is named with what it holds."""
    before = state(promoted)
    said = list(doctor(promoted))
    assert [line.split(":")[0].split()[0] for line in said] == [
        "table", "landing", "Airflow", "registry", "model", "endpoint",
    ]  # fmt: skip
    assert state(promoted) == before


def test_a_paused_dag_is_a_finding_where_files_wait(
    promoted: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nothing waits for is told and is none: somebody may have meant it."""
    monkeypatch.setattr(DagSwitch, "is_paused", lambda _: True)
    words = f"the Dag {promoted.spec.name} is paused in Airflow, and {{}} files wait for it"
    assert any(words.format(0) in line for line in doctor(promoted))
    drop(promoted, "a\n", "waits.csv")
    (said,) = found(promoted)
    assert words.format(1) in said
    Path(promoted.landing.url, "waits.csv").unlink()


def test_what_the_registry_and_the_endpoint_say_is_held_against_each_other(
    promoted: StepContext,
) -> None:
    """An alias that the log does not know of, a server elsewhere, files that were changed."""
    client, model = mlflow.MlflowClient(), promoted.spec.model
    client.delete_registered_model_alias(model, "champion")
    assert any("names version none, the log of moves says 1" in one for one in found(promoted))
    client.set_registered_model_alias(model, "champion", "1")
    away = replace(promoted, endpoint=Endpoint(NOWHERE, model))
    (line,) = found(away)
    assert line.startswith(f"not asked, the endpoint {NOWHERE}: no answer")
    digest = client.get_model_version(model, "1").tags["ratchet.digest"]
    client.set_model_version_tag(model, "1", "ratchet.digest", "0" * 64)
    assert any("version 1 bundle.json was changed" in one for one in found(promoted))
    client.set_model_version_tag(model, "1", "ratchet.digest", digest)


def lose_an_archived_file(context: StepContext) -> None:
    """Delete what a batch came in."""
    next(Path(context.lake.url, "archive").glob("[!.]*/0.csv")).unlink()


def change_an_archived_file(context: StepContext) -> None:
    """Write over what a batch came in."""
    next(Path(context.lake.url, "archive").glob("[!.]*/0.csv")).write_text("changed\n")


def put_a_folder_into_landing(context: StepContext) -> None:
    """Make what no run takes."""
    Path(context.landing.url, "monday").mkdir()


def take_a_data_file_out(context: StepContext) -> None:
    """Leave a batch with fewer rows than it brought."""
    lose_a_data_file(context)
    context.lake.repair.take_out(list(context.lake.repair.damaged_files()))


DEEDS: dict[Deed, str] = {
    lose_table: "lacks rows of 3 batches",
    lose_the_newest_entries: "lacks rows of 2 batches",
    take_a_data_file_out: "lacks rows of 1 batches",
    lose_a_data_file: "is gone or was changed; its rows came in batch",
    change_a_data_file: "is gone or was changed; its rows came in batch",
    empty_the_newest_entry: "the entry of version 2 is empty",
    delete_rows: "version 3 was not made by Ratchet (DELETE",
    lose_an_archived_file: "1 batches of the table have no file in the archive",
    change_an_archived_file: "is not what was delivered",
    put_a_folder_into_landing: "monday: a folder",
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_wrong_with_rows_is_said_with_what_to_do(filled: StepContext, deed: Deed) -> None:
    """A sentence each, by whoever holds what is missing."""
    before = found(filled)
    deed(filled)
    new = [line for line in found(filled) if line not in before]
    assert len(new) == 1
    assert DEEDS[deed] in new[0]


def test_a_champion_whose_rows_cannot_be_looked_up_any_more_is_said(
    new_context: Callable[[], StepContext],
) -> None:
    """The newest version is whole, the one that it was fitted on is not: as after a vacuum."""
    context = new_context()
    drop(context, pulsar_rows(600, seed=9))
    run(context)
    lose_a_data_file(context)
    context.lake.repair.take_out(list(context.lake.repair.damaged_files()))
    land_again(context)
    take_in(context)
    told = "version 1, the champion, was fitted on data version 0, whose data files are gone"
    assert [told in line for line in found(context)].count(True) == 1


def test_rows_of_a_champion_that_cannot_be_asked_for_are_one_finding_of_many(
    promoted: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is said all the same."""

    def broken(*_: object) -> bool:
        raise OSError("disk gone")

    monkeypatch.setattr(Lake, "lacks_files", broken)
    (line,) = found(promoted)
    assert line == "not looked at to the end, the champion's rows: disk gone"


def test_a_spec_that_says_otherwise_than_the_contract_is_said(filled: StepContext) -> None:
    """As the next run will, before it comes to that."""
    data = filled.spec.data.model_copy(update={"missing": ("profile_1",)})
    other = replace(filled, spec=filled.spec.model_copy(update={"data": data}))
    assert any("spec and contract differ: profile_1" in one for one in found(other))


def test_what_is_away_is_said_within_seconds_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No MLflow, no endpoint: the lake and the landing place are looked at all the same."""
    monkeypatch.setenv("RATCHET_PATIENCE", "1")
    monkeypatch.setenv("RATCHET_MLFLOW_URL", NOWHERE)
    monkeypatch.setenv("RATCHET_SERVING_URL", NOWHERE)
    began = time.monotonic()
    said = ratchet(tmp_path, "doctor", "bank")
    assert time.monotonic() - began < 15
    assert said.code == 1
    assert "! not asked, the registry: MLflow at http://127.0.0.1:1 does not answer" in said.out
    assert "! not asked, the endpoint" in said.out
    assert "  table: no row has ever been committed" in said.out
    assert said.err.endswith("findings about bank, each with a ! before it\n")


def test_a_lake_that_is_away_keeps_nobody_else_from_being_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a bucket whose server is down."""
    for name, value in {
        "RATCHET_PATIENCE": "1",
        "RATCHET_MLFLOW_URL": NOWHERE,
        "RATCHET_LAKE": "s3://rows/lake",
        "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    said = ratchet(tmp_path, "doctor", "bank")
    assert time.monotonic() - began < 15
    assert said.code == 1
    assert "! not asked, the lake: the bucket s3://rows" in said.out
    assert "! not asked, the registry" in said.out
