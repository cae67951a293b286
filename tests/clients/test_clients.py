"""The clients that people have, each in an environment of its own, against a running server.

`make test` sets the environments up where their packages are to be had.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving_process import environment
from tests.clients.asked_server import AskedServer, asked_server

SCRIPTS = Path(__file__).parent
PROJECT = SCRIPTS.parents[1]

_CONFIGURED = "a model is loaded as the registry has it"
_REFUSED_TO_TRITON = {
    "shared input": "features has the parameter shared_memory_region: the server shares no memory",
    "shared output": "has the parameter shared_memory_region: the server shares no memory",
    "classes": "output label has the parameter classification: the answer has no list of classes",
    "sequence": "has the parameter sequence_id: a model keeps nothing from one request to the next",
    "config": "there is no model configuration here",
    "statistics": "there are no inference statistics here",
    "load config": f"the parameter config cannot be honoured: {_CONFIGURED}",
    "load files": _CONFIGURED,
    "memory": "the server shares no memory with its callers",
    "no key": "an API key is needed",
}
_TOLD_TO_TRITON = {
    "live": True,
    "ready": True,
    "model ready": True,
    "server": "ratchet",
    "inputs": ["age", "paperless", "plan"],
    "index": ["boxes", "plans"],
    "unloaded": False,
}
CLIENTS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "triton_http": ("clients", _TOLD_TO_TRITON, _REFUSED_TO_TRITON),
    "triton_grpc": (
        "clients",
        _TOLD_TO_TRITON,
        {**_REFUSED_TO_TRITON, "stream": "UNIMPLEMENTED ModelStreamInfer: requests are not"},
    ),
    "mlserver_codecs": (
        "clients",
        {
            "inputs": ["age", "paperless", "plan"],
            "rest inputs": ["age", "paperless", "plan"],
            "categories": '["basic", "plus", "pro"]',
            "threshold": "0.5",
            "model parameters": False,
            "index": ["boxes", "plans"],
            "same index": True,
        },
        {
            "datetime": "input plan has content_type datetime, which cannot be honoured there",
            "base64 answer": "output label has content_type base64, which cannot be honoured",
            "custom": "the request has content_type hg_conversation, which cannot be honoured",
        },
    ),
    "public_definition": (
        "clients",
        {
            "server": "ratchet",
            "ready": True,
            "model ready": True,
            "matrix": [-1, 3],
            "inputs": ["age", "paperless", "plan"],
            "properties": {},
        },
        {},
    ),
    "kserve_sdk": (
        "clients-kserve",
        {
            "inputs": ["age", "paperless", "plan"],
            "unloaded": ["boxes", True],
            "loaded": ["boxes", True],
        },
        {},
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskedServer]:
    """Return a server that all of them ask."""
    with asked_server(tmp_path_factory.mktemp("asked")) as running:
        yield running


def _python(name: str) -> Path:
    folder = PROJECT / ".venv" / name
    if not (folder / ".ready").exists():
        pytest.skip(
            f"{folder.name} is not set up: `make test` does it where packages are to be had"
        )
    return folder / "bin" / "python"


@pytest.mark.parametrize("script", CLIENTS)
def test_a_client_of_the_protocol_is_understood(server: AskedServer, script: str) -> None:
    """Each way in which it asks gets the model's own answer, and what is not done is refused."""
    name, told, refused = CLIENTS[script]
    command = [str(_python(name)), str(SCRIPTS / f"{script}.py"), json.dumps(server.told)]
    direct = environment() | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    direct.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, env=direct, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for way, answer in found["answers"].items():
        expected = server.probabilities[way.split()[0]]
        assert answer == pytest.approx(expected, abs=1e-6), way
    assert found["told"] == told
    assert found["refusals"].keys() == refused.keys()
    for way, sentence in refused.items():
        assert sentence in found["refusals"][way], way
