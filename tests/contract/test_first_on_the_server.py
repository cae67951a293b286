"""The real server goes first, and a champion that does not serve is undone.

A real MLflow server, a real Delta table, and the server itself following that registry on a port.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import polars as pl
import pytest

from demo.data import pulsar_rows
from include.adapters.endpoint import Endpoint, endpoint
from include.adapters.registry import Registry, open_registry
from include.adapters.registry.versions import Versions
from include.context.step_context import StepContext, step_context
from include.records.judging import Preflight, Verdict
from include.records.models import ModelVersion
from include.records.training import Form, NoNewData
from include.settings import read_settings as pipeline_settings
from include.spec.model_spec import Spec
from serving.app import make_app, make_server
from serving.bundle import Bundle, BundleRefusedError
from serving.configuration.settings import read_settings
from serving.models.holder import Holder
from serving.registry import opener as following
from serving.registry.local_copies import LocalCopies
from serving.registry.registry import MlflowRegistry
from serving.registry.watch import Watch
from serving.traffic.drain import Drain
from tests import steps
from tests.contract.bank import FAMILIES
from tests.contract.pipeline import Run, drop, run
from tests.serving.parts import on_a_port
from tests.serving.registries import MlflowServer

ROWS = pulsar_rows(600, seed=1)
FORCED = Form(force=True, no_new_data=NoNewData.RETRAIN)
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
def url(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that follows the registry."""
    holder = Holder()
    shelf = LocalCopies(tmp_path_factory.mktemp("serving"))
    watch = Watch(MlflowRegistry(mlflow_url), holder, shelf)
    settings = read_settings({"SERVING_GRPC_PORT": "0", "SERVING_POLL_SECONDS": "0.1"})
    with on_a_port(make_app(make_server(settings, holder, watch, Drain(0.0)))) as address:
        yield address


@pytest.fixture
def served(context: StepContext, url: str) -> StepContext:
    """Return a context whose endpoint is the server."""
    drop(context, ROWS)
    return replace(context, endpoint=Endpoint(url, context.spec.model, poll_seconds=0.05))


def aliases(context: StepContext) -> dict[str, str]:
    """Return the aliases of the registered model."""
    return dict(mlflow.MlflowClient().get_registered_model(context.spec.model).aliases)


def workplace_registry(context: StepContext) -> Registry:
    """Return a registry that remembers nothing, as the next task has one."""
    return open_registry(str(mlflow.get_tracking_uri()), context.spec.name, context.spec.model)


def preflight_result(context: StepContext, done: Run) -> Preflight:
    """Run the step on what a run has decided."""
    return steps.preflight(context, done.plan, done.challenger, done.decision)


def test_the_server_holds_and_answers_a_challenger_first(served: StepContext) -> None:
    """Every golden row comes back as the pipeline's own; the alias is there only meanwhile."""
    done = run(served)
    first = preflight_result(served, done)
    assert first.passed
    assert first.replicas == 1
    # All there are of both labels, for the holdout has no more, and odd variants of them.
    assert first.rows > sum(done.plan.dataset.holdout.values())
    assert aliases(served)["challenger"] == done.challenger.version
    assert preflight_result(served, done).passed
    decision = steps.promote(
        served, done.plan, done.challenger, done.scores, Form(), preflight_result=first
    )
    assert decision.verdict is Verdict.PROMOTE
    assert [check.name for check in decision.checks].count("preflight") == 1
    assert "challenger" not in aliases(served)
    answer = steps.serve(served, done.plan)
    assert (answer.version, answer.rows_checked) == (done.challenger.version, first.rows)
    assert steps.serve(served, None).version == answer.version


def plants(seed: int) -> pl.DataFrame:
    """Return rows of three numbers and a text without a gap, and labels that follow from them."""
    chance = np.random.default_rng(seed)
    numbers = chance.normal(size=(600, 3)).round(3)
    kind = chance.integers(3, size=600)
    yes = numbers @ [1, -1, 0.5] + (kind == 1) + chance.normal(size=600) > 0
    columns = dict(zip("abc", numbers.T, strict=True))
    return pl.DataFrame({**columns, "kind": np.array(["x", "y", "z"])[kind], "label": yes + 0})


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_a_champion_with_categories_answers_one_that_it_does_not_know(
    family: tuple[tuple[str, ...], dict[str, Any]], mlflow_url: str, tmp_path: Path, url: str
) -> None:
    """Every family passes its pre-flight on a text column that may not be missing, and serves."""
    name = f"plants-{len(family[0])}-{family[0][-1].rpartition('.')[2].lower()}"
    pipeline, params = family
    spec = Spec.model_validate(
        {
            "name": name,
            "model": name,
            "title": "Plants",
            "data": {"target": "label"},
            "families": [{"name": "only", "pipeline": pipeline, "params": params}],
        }
    )
    port = mlflow_url.rpartition(":")[2]
    settings = pipeline_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_MLFLOW_PORT": port})
    context = replace(step_context(spec, settings), endpoint=Endpoint(url, name, poll_seconds=0.05))
    drop(context, plants(seed=1))
    done = run(context)
    first = preflight_result(context, done)
    assert first.passed, first.sentence
    decision = steps.promote(
        context, done.plan, done.challenger, done.scores, Form(), preflight_result=first
    )
    assert decision.verdict is Verdict.PROMOTE
    assert steps.serve(context, done.plan).version == done.challenger.version
    odd = [{"a": 1, "b": 2, "c": 3, "kind": kind} for kind in ("zzz", "", "x\u0000")]
    answer = httpx.post(f"{url}/v2/models/{name}/infer", json={"rows": odd}, trust_env=False)
    assert answer.status_code == 200, answer.text


def test_another_answer_than_the_pipelines_is_a_reject(
    served: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label by label; `force` does not pass it, and nothing moves."""
    done = run(served)
    bundle = Versions.bundle

    def stricter(versions: Versions, version: ModelVersion) -> Bundle:
        opened = bundle(versions, version)
        return replace(opened, manifest=replace(opened.manifest, threshold=1.1))

    monkeypatch.setattr(Versions, "bundle", stricter)
    found = preflight_result(served, done)
    assert not found.passed
    assert found.differences > 0
    assert "otherwise, as row " in found.sentence
    before = served.registry.champion.moves()
    decision = steps.promote(
        served, done.plan, done.challenger, done.scores, FORCED, preflight_result=found
    )
    assert decision.verdict is Verdict.REJECT
    assert decision.reason == found.sentence
    assert served.registry.champion.moves() == before
    assert "challenger" not in aliases(served)


def test_a_version_that_the_server_refuses_is_a_reject_with_its_reason(
    served: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own sentence stands in the decision."""

    def refusing(_folder: Path, _digest: str, _name: str) -> Bundle:
        raise BundleRefusedError("it is too large for this server")

    monkeypatch.setattr(following, "load_and_warm", refusing)
    monkeypatch.setattr(endpoint, "REFUSAL_STANDS_SECONDS", 0.3)
    done = run(served)
    found = preflight_result(served, done)
    assert not found.passed
    assert "too large for this server" in found.sentence


def test_a_model_without_the_tag_that_servers_know_it_by_gets_it(served: StepContext) -> None:
    """Made empty by a person, or the tag taken away later: nothing is waited for in vain."""
    client = mlflow.MlflowClient()
    client.create_registered_model(served.spec.model)
    done = run(served)
    client.delete_registered_model_tag(served.spec.model, "ratchet.spec")
    assert preflight_result(served, done).passed


def test_a_model_that_is_deleted_and_made_again_is_served_anew(served: StepContext) -> None:
    """Its version 1 is not the version 1 that the server holds: it is tried, promoted, served."""
    digests = []
    for seed in (1, 2):
        drop(served, pulsar_rows(600, seed=seed))
        fresh = replace(served, registry=workplace_registry(served))
        done = run(fresh)
        assert done.challenger.version == "1"
        assert preflight_result(fresh, done).passed
        steps.promote(fresh, done.plan, done.challenger, done.scores, Form())
        assert steps.serve(fresh, done.plan).version == "1"
        state = httpx.get(f"{served.endpoint.replicas()[0].url}/v2/health/ready", trust_env=False)
        roles = state.json()["models"][served.spec.model]["roles"]
        digests.append((roles["champion"]["digest"], done.challenger.digest))
        if seed == 1:
            mlflow.MlflowClient().delete_registered_model(served.spec.model)
    assert all(served_one == registered for served_one, registered in digests)
    assert digests[0] != digests[1]
