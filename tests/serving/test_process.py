"""The server as it is started: a process, its environment, a real registry and its signals."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import request
from tests.serving.conftest import Save, constant
from tests.serving.processes import stock
from tests.serving.registries import MlflowPublisher, environment, free_port, wait_for

PROJECT = Path(__file__).parents[2]
INPUTS = [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
QUESTION = request.request_body(INPUTS, [1.0, 2.0, 3.0])

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts the server; whatever it started is ended afterwards."""
    started = []

    def run(port: int | str, registry: str = "http://127.0.0.1:1") -> "subprocess.Popen[str]":
        variables = {
            "SERVING_PORT": str(port),
            "SERVING_GRPC_PORT": "0",
            "SERVING_REGISTRY_URL": registry,
            "SERVING_HOME": str(tmp_path / "serving"),
            "SERVING_POLL_SECONDS": "0.1",
            "PYTHONPATH": str(PROJECT),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "serving"],
            env=environment() | variables,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_follows_a_real_registry_without_a_lost_request(
    start: Start, mlflow_url: str, save_bundle: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against MLflow itself: a champion is served, replaced under requests, and asked by script."""
    publisher, name = MlflowPublisher(mlflow_url), "process boxes"
    publisher.register(name)
    versions = [
        publisher.publish(name, *save_bundle(constant(probability), name=name))
        for probability in (0.25, 0.75)
    ]
    publisher.crown(name, versions[0])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = start(port, mlflow_url)
    root = f"{url}/v2/models/process%20boxes"
    wait_for(f"{root}/ready")
    with httpx.Client() as client:
        first = client.post(f"{root}/infer", json=QUESTION).json()
        publisher.crown(name, versions[1])
        answers = [first]
        deadline = time.monotonic() + 20
        while answers[-1]["model_version"] == versions[0] and time.monotonic() < deadline:
            answer = client.post(f"{root}/infer", json=QUESTION)
            assert answer.status_code == 200
            answers.append(answer.json())
    assert _said(answers[0]) == (versions[0], 0.25, 0)
    assert _said(answers[-1]) == (versions[1], 0.75, 1)
    assert request.main(["--model", name, "--url", url]) == 0
    assert f"version {versions[1]}: label 1, probability 0.7500" in capsys.readouterr().out
    assert request.main(["--model", name, "--url", url, "--row", "1,2"]) == 1
    assert "2 values and process boxes takes 3: height, width, depth" in capsys.readouterr().err
    assert request.main(["--model", name, "--url", url, "--row=-1,2,3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model_version"] == versions[1]
    _stop(server)


METADATA = {
    "name": "woods",
    "inputs": [
        {"name": "height", "datatype": "FP32", "shape": [-1]},
        {"name": "wood", "datatype": "BYTES", "shape": [-1]},
    ],
    "parameters": {"features": ["height", "wood"], "categories": {"wood": ["oak"]}},
}


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("-1.5,oak", [-1.5, "oak"]),
        (",oak", [None, "oak"]),
        ("2,", [2.0, None]),
        ('2,"oak, red"', [2.0, "oak, red"]),
        ("2,7", [2.0, "7"]),
    ],
)
def test_the_script_reads_a_row_as_csv(text: str, row: list[request.Value]) -> None:
    """Numbers and texts by what the model says its features are; nothing is a missing value."""
    assert request.row_values(METADATA, text) == row
    inputs = request.request_body(METADATA["inputs"], row)["inputs"]  # type: ignore[arg-type]
    assert [(one["name"], one["shape"], one["data"]) for one in inputs] == [
        ("height", [1], row[:1]),
        ("wood", [1], row[1:]),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1", "the row has 1 values and woods takes 2: height, wood"),
        ("", "the row has 0 values"),
        ("oak,1", "height is a number and 'oak' is none"),
    ],
)
def test_the_script_says_what_is_wrong_with_a_row(text: str, says: str) -> None:
    """Before anything is sent, in the words of the model's own features."""
    with pytest.raises(ValueError, match=says):
        request.row_values(METADATA, text)


def test_without_a_registry_it_lives(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that has never reached its registry is live, not ready, and says why."""
    port = free_port()
    server = start(port)
    url = f"http://127.0.0.1:{port}"
    wait_for(f"{url}/v2/health/live")
    with httpx.Client(base_url=url) as client:
        ready = client.get("/v2/health/ready")
    assert ready.status_code == 503
    assert "did not give" in ready.json()["error"]
    assert request.main(["--model", "boxes", "--url", url]) == 1
    assert "cannot be looked up" in capsys.readouterr().err
    _stop(server)


def test_a_client_that_hangs_up_costs_nothing(
    start: Start, save_bundle: Save, tmp_path: Path
) -> None:
    """Clients that leave in the middle of a body leave no traceback and no one waiting."""
    stock(tmp_path / "serving", *save_bundle())
    port = free_port()
    server = start(port)
    wait_for(f"http://127.0.0.1:{port}/v2/models/boxes/ready")

    async def leave() -> None:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /v2/models/boxes/infer HTTP/1.1\r\nHost: x\r\n")
            writer.write(b"Content-Length: 1000\r\n\r\n{")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    asyncio.run(leave())
    assert "Traceback" not in _stop(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_answered_before_the_end(
    start: Start, number: int, save_bundle: Save, tmp_path: Path
) -> None:
    """Requests that came before the signal get their answer; then the process ends with 0."""
    stock(tmp_path / "serving", *save_bundle())
    port = free_port()
    server = start(port)
    url = f"http://127.0.0.1:{port}"
    wait_for(f"{url}/v2/models/boxes/ready")
    half_sent = threading.Barrier(5)

    def slow(_index: int) -> int:
        def body() -> Iterator[bytes]:
            question = json.dumps(QUESTION).encode()
            yield question[:10]
            half_sent.wait(10)
            time.sleep(0.5)
            yield question[10:]

        return httpx.post(f"{url}/v2/models/boxes/infer", content=body()).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(slow, range(4))
        half_sent.wait(10)
        time.sleep(0.1)
        server.send_signal(number)
        assert list(answers) == [200] * 4
    server.communicate(timeout=10)
    assert server.returncode == 0


def test_a_taken_port_is_a_sentence(start: Start) -> None:
    """A second server on the same port exits 1 with one line that says what to do."""
    port = free_port()
    start(port)
    wait_for(f"http://127.0.0.1:{port}/v2/health/live")
    second = start(port)
    _, said = second.communicate(timeout=20)
    assert second.returncode == 1
    assert said.count("\n") == 1
    assert f"port {port}" in said
    assert "SERVING_PORT" in said


def _said(answer: dict[str, Any]) -> tuple[str, float, int]:
    probability, label = (output["data"][0] for output in answer["outputs"])
    return answer["model_version"], probability, label


def _stop(server: "subprocess.Popen[str]") -> str:
    server.terminate()
    _, said = server.communicate(timeout=15)
    assert server.returncode == 0
    return said
