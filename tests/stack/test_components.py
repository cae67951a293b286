"""What each process of the stack is given."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.settings import PROJECT, Settings
from stack.components import components
from tests.manifests import VALUES, found, pods

CLOSED = ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
COMPOSED: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())["services"]


def test_the_server_gets_what_an_operator_says_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, limits and workers reach it; where it stands is the stack's to say."""
    monkeypatch.setenv("SERVING_WORKERS", "2")
    monkeypatch.setenv("SERVING_PORT", "1")
    (server,) = (one for one in components(settings) if one.name == "serving")
    assert server.environment["SERVING_WORKERS"] == "2"
    assert server.environment["SERVING_PORT"] == str(settings.serving_port)
    assert server.asked_once


def test_mlflow_opens_no_model_on_one_machine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its server nor a task of Airflow, whatever the shell says that started them."""
    monkeypatch.setenv(CLOSED[0], "true")
    started = {one.name: one.environment for one in components(settings)}
    using = {name: env for name, env in started.items() if "MLFLOW_TRACKING_URI" in env}
    assert "mlflow" in using
    assert len(using) > 3
    assert all(env[CLOSED[0]] == CLOSED[1] for env in using.values())


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what each service and pod that has to do with MLflow is given."""
    for name, service in COMPOSED.items():
        given = service.get("environment", {})
        files = " ".join(service.get("env_file", ()))
        if any(key.startswith("MLFLOW_") for key in given) or "mlflow" in files:
            yield f"{name} in containers", given
    yield "Airflow on a cluster", {one["name"]: one.get("value", "") for one in VALUES["env"]}
    pod = pods()["mlflow"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        names = [
            one["configMapRef"]["name"] for one in container["envFrom"] if "configMapRef" in one
        ]
        given = {}
        for name in names:
            given |= found("ConfigMap", name)["data"]
        yield f"{container['name']} on a cluster", given


def test_mlflow_opens_no_model_in_containers() -> None:
    """Every process that is told of MLflow is told that too."""
    every = dict(environments())
    assert len(every) > 8
    assert [name for name, given in every.items() if given.get(CLOSED[0]) != CLOSED[1]] == []


def test_mlflow_opens_no_model_in_a_process_of_ours(tmp_path: Path) -> None:
    """Not even where the variable says otherwise: the pipeline's own client shuts it."""
    code = "import include.adapters.registry; from mlflow.environment_variables import "
    code += f"{CLOSED[0]} as flag; print(flag.get())"
    told = os.environ | {CLOSED[0]: "true", "PYTHONPATH": str(PROJECT), "HOME": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"
