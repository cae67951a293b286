"""The servers of the benchmark: how each is started, asked and read.

All serve the same trees on one worker. A contender that cannot be started says why and is left out.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving_load import Post
from benchmarks.serving_model import NAME, Model, Rows, v2_binary, v2_body, v2_grpc
from benchmarks.serving_process import (
    HEADERS,
    PROJECT,
    Ratchet,
    await_workers,
    end_family,
    environment,
    free_ports,
    ratchet,
    wait_until_ready,
)
from benchmarks.serving_registry import registry

RATCHET = "Ratchet"
PAIR = "Ratchet, 2 workers"
BEFORE = "Ratchet before"
MLSERVER = ("MLServer, 1 worker, batching", "MLServer, no worker, batching")
_JSON = {"Content-Type": "application/json"}
_INFER = f"/v2/models/{NAME}/infer"


@dataclass(frozen=True)
class Contender:
    """A running server and the requests that it understands."""

    name: str
    port: int
    grpc_port: int | None
    posts: Mapping[str, Callable[[Rows], Post]]
    """By kind: "json" for all, "binary" for those that take binary tensors."""
    read: Callable[[bytes], list[float]]
    """Returns the probabilities that a JSON answer holds."""
    message: Callable[[Rows], bytes] = field(default=lambda _rows: b"")
    """Returns a serialised gRPC request."""
    process: "subprocess.Popen[bytes] | None" = None


Start = Callable[[Model, Path], AbstractContextManager[Contender]]


def peers() -> dict[str, Start]:
    """Return how each server starts that people serve such a model with."""
    return {
        RATCHET: _ratchet,
        PAIR: lambda *place: _ratchet(*place, name=PAIR, workers=2),
        MLSERVER[0]: lambda *place: mlserver(MLSERVER[0], 1, *place),
        MLSERVER[1]: lambda *place: mlserver(MLSERVER[1], 0, *place),
        "mlflow models serve": _mlflow,
        "BentoML, batching": _bentoml,
        "LitServe, batching": _litserve,
    }


def itself_before(checkout: Path) -> dict[str, Start]:
    """Return how this server starts, and that of another checkout with its own environment."""
    return {
        RATCHET: _ratchet,
        BEFORE: lambda *place: _ratchet(*place, name=BEFORE, checkout=checkout),
    }


@contextmanager
def contenders(
    starts: Mapping[str, Start], model: Model, work: Path, say: Callable[[str], None]
) -> Iterator[list[Contender]]:
    """Start every server that starts here, all at once up, and end them all."""
    with ExitStack() as stack:

        def enter(name: str) -> Contender | None:
            folder = work / name.replace(" ", "-")
            folder.mkdir()
            try:
                return stack.enter_context(starts[name](model, folder))
            except (RuntimeError, OSError) as error:
                say(f"{name} is left out: {error}")
                return None

        with ThreadPoolExecutor(len(starts)) as pool:
            started = list(pool.map(enter, starts))
        yield [contender for contender in started if contender is not None]


@contextmanager
def _ratchet(
    model: Model, work: Path, *, name: str = RATCHET, workers: int = 1, checkout: Path = PROJECT
) -> Iterator[Contender]:
    with registry(NAME) as kept:
        kept.point(kept.publish(model.bundle, model.digest))
        variables = {"SERVING_WORKERS": str(workers)}
        with ratchet(
            kept.url, work, model=NAME, poll_seconds=1.0, checkout=checkout, **variables
        ) as server:
            await_workers(server.url, workers)
            yield ratchet_contender(server, name)


def ratchet_contender(server: Ratchet, name: str = RATCHET) -> Contender:
    """Return a running Ratchet as a contender; peers are asked for the same single output."""

    def binary(rows: Rows) -> Post:
        body, length = v2_binary(rows, "probability")
        kind = {"Content-Type": "application/octet-stream"}
        return Post(_INFER, HEADERS | kind | {"Inference-Header-Content-Length": str(length)}, body)

    return Contender(
        name,
        server.port,
        server.grpc_port,
        {
            "json": lambda rows: Post(_INFER, HEADERS, v2_body(rows, "probability")),
            "binary": binary,
        },
        lambda body: list(json.loads(body)["outputs"][0]["data"]),
        lambda rows: v2_grpc(rows, NAME, "probability"),
        server.process,
    )


@contextmanager
def mlserver(name: str, workers: int, model: Model, work: Path) -> Iterator[Contender]:
    """Run MLServer with batching of 64 requests or 5 ms; its settings are below `work`."""
    port, grpc_port = _mlserver_settings(work, model.xgboost_file, workers=workers)
    command = [str(peer("mlserver") / "mlserver"), "start", str(work)]
    with running(command, work, f"http://127.0.0.1:{port}/v2/models/{NAME}/ready") as process:
        yield Contender(
            name,
            port,
            grpc_port,
            {"json": lambda rows: Post(_INFER, _JSON, v2_body(rows, "predict_proba"))},
            # A row of the answer is the probability of both classes.
            lambda body: list(json.loads(body)["outputs"][0]["data"][1::2]),
            lambda rows: v2_grpc(rows, NAME, "predict_proba"),
            process,
        )


def _mlserver_settings(work: Path, model_file: Path, *, workers: int) -> tuple[int, int]:
    """Write the settings of an MLServer with batching and return its HTTP and its gRPC port."""
    port, grpc_port, metrics_port = free_ports(3)
    server = {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc_port, "debug": False}
    server |= {"metrics_port": metrics_port, "parallel_workers": workers}
    model = {
        "name": NAME,
        "implementation": "mlserver_xgboost.XGBoostModel",
        "parameters": {"uri": str(model_file), "version": "1"},
        "max_batch_size": 64,
        "max_batch_time": 0.005,
    }
    (work / "settings.json").write_text(json.dumps(server))
    (work / "model-settings.json").write_text(json.dumps(model))
    return port, grpc_port


@contextmanager
def _mlflow(model: Model, work: Path) -> Iterator[Contender]:
    port = free_ports(1)[0]
    script = (
        "import sys; from benchmarks.serving_contenders import save_mlflow as s; s(*sys.argv[1:])"
    )
    saving = [sys.executable, "-c", script, str(model.xgboost_file), str(work / "model")]
    subprocess.run(saving, check=True, capture_output=True, cwd=PROJECT)  # noqa: S603 - the line above
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(work / "model")]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--workers", "1"], work, f"http://127.0.0.1:{port}/ping"):
        yield Contender(
            "mlflow models serve",
            port,
            None,
            {"json": lambda rows: _post("/invocations", "inputs", rows)},
            lambda body: [pair[1] for pair in json.loads(body)["predictions"]],
        )


def save_mlflow(model_file: str, folder: str) -> None:
    """Save the trees as MLflow's own format with a tensor signature, the fast one of its two."""
    import numpy as np
    from mlflow import sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from xgboost import XGBClassifier

    fitted = XGBClassifier(n_jobs=1)
    fitted.load_model(model_file)
    rows = Schema([TensorSpec(np.dtype(np.float64), (-1, fitted.n_features_in_))])
    sklearn.save_model(
        fitted,
        folder,
        signature=ModelSignature(inputs=rows),
        pip_requirements=["xgboost"],
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
    )


@contextmanager
def _bentoml(model: Model, work: Path) -> Iterator[Contender]:
    port = free_ports(1)[0]
    command = [str(peer("bentoml") / "bentoml"), "serve", "serving_bento:Scorer"]
    command += ["--working-dir", str(Path(__file__).parent), "--host", "127.0.0.1"]
    settings = {"MODEL_FILE": str(model.xgboost_file), "BENTOML_HOME": str(work)}
    settings |= {"BENTOML_DO_NOT_TRACK": "true"}
    address = f"http://127.0.0.1:{port}/readyz"
    with running([*command, "--port", str(port)], work, address, settings):
        yield Contender(
            "BentoML, batching",
            port,
            None,
            {"json": lambda rows: _post("/score", "rows", rows)},
            lambda body: list(json.loads(body)),
        )


@contextmanager
def _litserve(model: Model, work: Path) -> Iterator[Contender]:
    port = free_ports(1)[0]
    script = Path(__file__).with_name("serving_litserve.py")
    settings = {"MODEL_FILE": str(model.xgboost_file), "PORT": str(port)}
    command = [str(peer("litserve") / "python"), str(script)]
    with running(command, work, f"http://127.0.0.1:{port}/health", settings):
        yield Contender(
            "LitServe, batching",
            port,
            None,
            {"json": lambda rows: _post("/predict", "rows", rows)},
            lambda body: list(json.loads(body)["probability"]),
        )


def _post(path: str, field_name: str, rows: Rows) -> Post:
    return Post(path, _JSON, json.dumps({field_name: rows.tolist()}).encode())


def peer(name: str) -> Path:
    """Return the folder of a peer's programs; raises OSError where it is not set up."""
    programs = PROJECT / ".venv" / f"peers-{name}" / "bin"
    if not (programs / "python").exists():
        raise FileNotFoundError(f"its environment {programs.parent} was not set up")
    return programs


@contextmanager
def running(
    command: list[str], work: Path, ready: str, variables: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server from when it answers until the block ends; its children end with it.

    Raises RuntimeError when it ends by itself, OSError when it never answers.
    """
    log = work / "log"
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - the peers' own programs
            command,
            cwd=work,
            env=environment() | {"PATH": path, "OMP_NUM_THREADS": "1"} | dict(variables or {}),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        _await(ready, process, log)
        yield process
    finally:
        end_family(process)


def _await(ready: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    try:
        wait_until_ready(ready, process)
    except RuntimeError as error:
        last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
        raise RuntimeError(f"{error}: {last}") from error
