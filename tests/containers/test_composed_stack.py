"""The composed stack, as a team runs it: from an object in a bucket to the champion's answer.

The tests tell one story in their order; each also stands for a promise of its own.
"""

import json
import socket
import threading
from typing import Any

import grpc
import httpx
import polars as pl
import pytest

from demo.data import pulsar_rows
from serving.grpc import inference_pb2 as v2
from serving.grpc.calls import SERVICES
from tests.containers.composed import Composed, until

FIRST = pulsar_rows(3000, seed=1)
ASKED = [list(row) for row in FIRST.drop("class").head(3).rows()]
PUBLISHED = {"airflow-api-server", "mlflow", "endpoint"}
ONCE = {"airflow-migrate", "mlflow-migrate", "buckets"}
CONNECT = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print(place, end=" ")
    except OSError:
        pass
"""
PLACES = [
    "postgres:5432",
    "redis:6379",
    "objects:8333",
    "mlflow:5000",
    "airflow-api-server:8080",
    "serving:8090",
    "endpoint:8090",
]
REACHED = {
    "serving": {"mlflow:5000", "serving:8090", "endpoint:8090"},
    "airflow-worker": {
        "postgres:5432",  # the results of its queue, with an account of that database alone
        "redis:6379",
        "objects:8333",
        "mlflow:5000",
        "airflow-api-server:8080",
        "serving:8090",
        "endpoint:8090",
    },
    "airflow-triggerer": {"postgres:5432", "objects:8333", "airflow-api-server:8080"},
    "airflow-dag-processor": {"postgres:5432", "airflow-api-server:8080"},
    "airflow-scheduler": {"postgres:5432", "redis:6379", "airflow-api-server:8080"},
    "mlflow": {
        "postgres:5432",
        "objects:8333",
        "mlflow:5000",
        "serving:8090",
        "endpoint:8090",
    },
}


def test_the_file_is_clean(stack: Composed) -> None:
    """Compose has nothing to remark on its file."""
    ended = stack.ended("config", "--quiet")
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")


def test_an_object_in_the_bucket_becomes_a_served_champion(stack: Composed) -> None:
    """The first delivery is trained on, promoted and answered from without another touch."""
    stack.airflow().await_dag("pulsars", patience_seconds=60)
    run = stack.deliver("pulsars", "first.csv", FIRST)
    assert run.state == "success", run
    assert run.results["promote"]["verdict"] == "PROMOTE"
    assert run.results["preflight"]["passed"]
    assert stack.champion("pulsars") == "1"
    answer = stack.ask("pulsars", ASKED)
    assert (answer.status_code, answer.json()["model_version"]) == (200, "1")


def test_the_champion_changes(stack: Composed) -> None:
    """A second delivery whose promotion is forced is what the endpoint answers with."""
    stack.drop("pulsars", "second.csv", pulsar_rows(3000, seed=2))
    runs = stack.airflow().run_ids("pulsars")
    until(lambda: len(stack.airflow().run_ids("pulsars")) > len(runs), "a run started")
    until(lambda: _idle(stack), "that run ended", 600)
    run = stack.press("pulsars", no_new_data="retrain", force=True, note="a second one")
    assert run.state == "success", run
    version = stack.champion("pulsars")
    assert version not in {None, "1"}
    assert stack.ask("pulsars", ASKED).json()["model_version"] == version
    assert sum(stack.rows_in_the_lake("pulsars").values()) == 6000


def _idle(stack: Composed) -> bool:
    airflow = stack.airflow()
    states = {airflow.run_state("pulsars", run) for run in airflow.run_ids("pulsars")}
    return states <= {"success", "failed"}


def test_light_and_long_tasks_have_workers_of_their_own(stack: Composed) -> None:
    """What computes for long never runs where a new delivery is taken in."""
    assert _workers(stack, "pulsars", "data.ingest") == _hosts(stack, "airflow-light-worker")
    assert _workers(stack, "pulsars", "select.screen") <= _hosts(stack, "airflow-worker")


def _workers(stack: Composed, spec: str, task: str) -> set[str]:
    airflow = stack.airflow()
    hosts = set()
    for run in airflow.run_ids(spec):
        hosts |= {one.worker for one in airflow.tasks(spec, run) if one.name == task}
    return hosts - {""}


def _hosts(stack: Composed, service: str) -> set[str]:
    return {one[:12] for one in stack.containers(service)}


@pytest.mark.parametrize("service", REACHED)
def test_a_container_reaches_what_it_needs_and_no_more(stack: Composed, service: str) -> None:
    """Whoever takes one container over has its neighbours and nothing beyond them."""
    found = stack.inside(service, "python", "-c", CONNECT, *PLACES)
    assert set(found.split()) == REACHED[service]


def test_every_container_is_bound(stack: Composed) -> None:
    """No container runs as root, writes beside its volumes, keeps a capability or has no limit."""
    for name in stack("ps", "--all", "--quiet").split():
        told = stack.docker.inspected(name)
        host, service = told["HostConfig"], told["Config"]["Labels"]["com.docker.compose.service"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert host["Memory"] > 0, service
        assert told["Config"]["User"].split(":")[0] not in {"", "0", "root"}, service
        assert not host["Privileged"], service
        ports = [one for every in host["PortBindings"].values() for one in every]
        assert {one["HostIp"] for one in ports} <= {"127.0.0.1"}, service
        assert bool(ports) == (service in PUBLISHED), service


def test_one_shots_ended_well(stack: Composed) -> None:
    """What prepares the rest ran once and ended with 0."""
    for service in ONCE:
        (name,) = stack.containers(service)
        state = stack.docker.inspected(name)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), service


def test_airflow_knows_who_may_do_what(stack: Composed) -> None:
    """Nobody gets in without an account, a viewer looks, an operator presses the button."""
    runs = f"{stack.url('AIRFLOW')}/api/v2/dags/pulsars/dagRuns"
    body: dict[str, object] = {"logical_date": None, "conf": {}}
    assert httpx.get(runs, trust_env=False).status_code == 401
    with _airflow(stack, "viewer") as viewer, _airflow(stack, "operator") as operator:
        assert viewer.get(runs).status_code == 200
        assert viewer.post(runs, json=body).status_code == 403
        assert operator.post(runs, json=body).status_code == 200
    until(lambda: _idle(stack), "the run of the operator ended", 300)


def _airflow(stack: Composed, name: str) -> httpx.Client:
    words = {"username": name, "password": stack.secret[f"airflow {name}"]}
    answer = httpx.post(f"{stack.url('AIRFLOW')}/auth/token", json=words, trust_env=False)
    token = answer.raise_for_status().json()["access_token"]
    return httpx.Client(headers={"authorization": f"Bearer {token}"}, trust_env=False)


def test_the_registry_knows_who_may_do_what(stack: Composed) -> None:
    """Nobody reads it without an account; the servers' and the viewer's account change nothing."""
    alias = {"name": "pulsars", "alias": "champion", "version": "1"}
    search = "/registered-models/search"
    anonymous = httpx.get(f"{stack.url('MLFLOW')}/api/2.0/mlflow{search}", trust_env=False)
    assert anonymous.status_code == 401
    for name in ("serving", "viewer"):
        assert stack.mlflow(name, search).status_code == 200
        moved = stack.mlflow(name, "/registered-models/alias", method="POST", json=alias)
        assert moved.status_code == 403
        new = {"username": "mine", "password": "of my own making"}
        tag = {"name": "pulsars", "key": "ratchet.spec", "value": "taken over"}
        for path, body in (("/set-tag", tag), ("/alias", alias)):
            answer = stack.mlflow(name, f"/registered-models{path}", method="POST", json=body)
            assert answer.status_code == 403, path
        assert stack.mlflow(name, "/users/create", method="POST", json=new).status_code != 200
    assert stack.champion("pulsars") != "1"


def test_the_endpoint_asks_for_a_key(stack: Composed) -> None:
    """Without a key, or with another one, nothing is predicted; a key added to the file counts."""
    path = f"{stack.url('SERVING')}/v2/models/pulsars/infer"
    for headers in ({}, {"authorization": "Bearer wrong"}):
        answer = httpx.post(path, json={"rows": ASKED}, headers=headers, trust_env=False)
        assert answer.status_code == 401
    with (stack.folder / ".secrets" / "api-keys").open("a") as file:
        file.write("another-one\n")
    key = {"authorization": "Bearer another-one"}

    def taken() -> bool:
        body = {"rows": ASKED}
        return httpx.post(path, json=body, headers=key, trust_env=False).status_code == 200

    until(taken, "the server has read the file of keys again", 20)


def test_accounts_of_the_bucket_keep_to_their_buckets(stack: Composed) -> None:
    """The pipeline's key opens landing and lake, MLflow's its own bucket, and neither the other."""
    script = (
        "import boto3\n"
        "for name in ('landing', 'lake', 'mlflow'):\n"
        "    try:\n"
        "        boto3.client('s3').list_objects_v2(Bucket=name)\n"
        "        print(name, end=' ')\n"
        "    except Exception as error:\n"
        "        assert 'AccessDenied' in str(error), error\n"
    )
    assert stack.inside("airflow-worker", "python", "-c", script).split() == ["landing", "lake"]
    of_mlflow = script.replace(
        "boto3.client('s3')", "boto3.client('s3', endpoint_url='http://objects:8333')"
    )
    assert stack.inside("mlflow", "python", "-c", of_mlflow).split() == ["mlflow"]


def test_grpc_goes_the_same_way(stack: Composed) -> None:
    """The proxy lets gRPC through, with the same keys and the same champion."""
    contents = v2.InferTensorContents(fp64_contents=ASKED[0])
    features = v2.ModelInferRequest.InferInputTensor(
        name="features", datatype="FP64", shape=[1, len(ASKED[0])], contents=contents
    )
    key = (("authorization", f"Bearer {stack.secret['api key of callers']}"),)
    with grpc.insecure_channel(stack.url("GRPC").removeprefix("http://")) as channel:
        ask = channel.unary_unary(
            f"/{SERVICES[0]}/ModelInfer",
            request_serializer=v2.ModelInferRequest.SerializeToString,
            response_deserializer=v2.ModelInferResponse.FromString,
        )
        question = v2.ModelInferRequest(model_name="pulsars", inputs=[features])
        assert ask(question, metadata=key, timeout=10).model_version == stack.champion("pulsars")
        with pytest.raises(grpc.RpcError) as refused:
            ask(question, timeout=10)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_prometheus_finds_both_ledgers(stack: Composed) -> None:
    """The exporter tells the champion and the batches, with accounts that only read."""

    def page() -> str:
        get = "import urllib.request as u; print(u.urlopen('http://exporter:9108/metrics').read().decode())"
        return stack.inside("exporter", "python", "-c", get)

    champion = f'model="pulsars",spec="pulsars",version="{stack.champion("pulsars")}"'
    until(lambda: f"ratchet_champion_info{{{champion}}} 1.0" in page(), "the champion is told", 60)
    assert 'ratchet_lake_batches_total{spec="pulsars"} 2.0' in page()


def test_more_workers_and_more_replicas(stack: Composed) -> None:
    """A race is spread over two workers; a promotion is done when both replicas have swapped."""
    stack.up("--scale", "airflow-worker=2", "--scale", "serving=2", "--no-recreate")
    assert len(stack.containers("serving")) == 2
    before = stack.champion("pulsars")
    run = stack.press("pulsars", no_new_data="retrain", force=True, note="on two")
    assert run.state == "success", run
    version = stack.champion("pulsars")
    assert version != before
    raced = {task.worker for task in run.tasks if task.name in {"select.screen", "select.final"}}
    assert raced == _hosts(stack, "airflow-worker")
    assert _roles(stack) == [version, version]
    assert run.results["serve"]["version"] == version
    answers = {stack.ask("pulsars", ASKED).json()["model_version"] for _ in range(20)}
    assert answers == {version}


def _roles(stack: Composed) -> list[Any]:
    """Return the champion that each replica holds by its own word."""
    ready = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8090/v2/health/ready').read().decode())"
    told = [
        json.loads(stack("exec", "-T", "--index", str(index), "serving", "python", "-c", ready))
        for index in (1, 2)
    ]
    return [one["models"]["pulsars"]["roles"]["champion"]["version"] for one in told]


def test_a_replica_that_leaves_fails_nobody(stack: Composed) -> None:
    """While one of two replicas is stopped, every request is answered."""
    failed = []
    stopping = stack.containers("serving")[0]
    thread = threading.Thread(target=lambda: stack.docker("stop", stopping))
    thread.start()
    number = 0
    while thread.is_alive() or number < 50:
        answer = stack.ask("pulsars", ASKED)
        number += 1
        if answer.status_code != 200:
            failed.append(answer.text)
    thread.join()
    stack.docker("start", stopping)
    assert failed == []


def test_bad_rows_wait_in_the_quarantine_of_the_lake(stack: Composed) -> None:
    """Rows that cannot be used are listed from the command line with their reason."""
    rows = pulsar_rows(50, seed=9).with_columns(pl.col("profile_0").cast(pl.String))
    rows[3, "profile_0"] = "n/a?"
    run = stack.deliver("pulsars", "broken.csv", rows)
    assert run.state == "success", run
    assert "broken.csv: not a number in profile_0" in stack.ratchet("quarantine", "pulsars")


def test_the_ports_are_of_this_machine_alone(stack: Composed) -> None:
    """What is published listens on loopback and nowhere else."""
    others = {
        info[4][0]
        for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        if not str(info[4][0]).startswith("127.")
    }
    for name in ("AIRFLOW", "MLFLOW", "SERVING"):
        port = int(stack.variables[f"RATCHET_{name}_PORT"])
        for other in others:
            with socket.socket() as probe:
                probe.settimeout(1)
                assert probe.connect_ex((str(other), port)) != 0
