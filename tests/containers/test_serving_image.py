"""The serving image: what is in it, who runs it, and that it does all that the server does."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import polars as pl
import pytest

from include.settings import PROJECT
from serving import VERSION
from serving.grpc import inference_pb2 as v2
from serving.grpc.calls import SERVICES
from tests.containers.engine import HARDENED, Container, Docker
from tests.seaweed import Seaweed
from tests.serving.accounts import Account, GuardedMlflow
from tests.serving.collector import Collector, collecting
from tests.serving.conftest import Save, constant, save_bundle
from tests.serving.processes import stock, until
from tests.serving.registries import free_port
from tests.serving.test_parity import ASK, LAYOUTS, SERVER, apart, saved

__all__ = ["save_bundle"]
KEY = {"x-api-key": "sesame"}
NAME = "boxed"
INFER = f"/v2/models/{NAME}/infer"
ROWS = {"rows": [[1.0, 2.0, 3.0]]}
LOOK = """
import importlib.util, json, os, shutil, sys
from pathlib import Path
packages = Path("/opt/venv/lib/python3.11/site-packages")
code = [path for path in Path("/opt").rglob("*.py")]
def compiled(path):
    return Path(importlib.util.cache_from_source(path)).is_file()
writable = [
    folder for root in ("/opt", "/usr", "/etc", "/bin", "/var", "/home", "/root", "/srv")
    for folder, _, _ in os.walk(root) if os.access(folder, os.W_OK)
]
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "modules": [one for one in sys.argv[1].split() if importlib.util.find_spec(one)],
    "programs": [one for one in sys.argv[2].split() if shutil.which(one)],
    "tests": [str(path) for path in packages.glob("*/**/tests")],
    "headers": [str(path) for path in packages.rglob("*.h")],
    "not compiled": [str(path) for path in code if not compiled(path)],
    "folder": sorted(
        str(path.relative_to("/opt/ratchet")) for path in Path("/opt/ratchet").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ),
    "writable": writable,
}))
"""
ZOMBIES = """
from pathlib import Path
states = []
for path in Path("/proc").glob("[0-9]*/stat"):
    try:
        states.append(path.read_text().rpartition(")")[2].split()[0])
    except OSError:  # it has ended meanwhile, as a health check does
        pass
print(states.count("Z"))
"""
WORKER_PIDS = """
from pathlib import Path
for path in Path("/proc").glob("[0-9]*/environ"):
    try:
        if b"SERVING_WORKER=" in path.read_bytes():
            print(path.parent.name)
    except OSError:  # it has ended meanwhile, as a health check does
        pass
"""

Start = Callable[..., "Running"]


class Running:
    """The server in a container, on the host's own network."""

    def __init__(self, container: Container, port: int, grpc_port: int) -> None:
        """Take a container that was started with these ports."""
        self.container = container
        self.address = f"127.0.0.1:{grpc_port}"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY, timeout=30)

    def status(self, path: str) -> int:
        """Return the status of a GET, 0 when nobody answers."""
        try:
            return self.client.get(path).status_code
        except httpx.HTTPError:
            return 0


@pytest.fixture
def start(docker: Docker, serving_image: str) -> Iterator[Start]:
    """Return a function that starts the image, hardened, with variables and options."""
    ending = ExitStack()

    def run(*options: str, **variables: str) -> Running:
        port, grpc_port = free_port(), free_port()
        said = {
            "SERVING_API_KEY": KEY["x-api-key"],
            "SERVING_PORT": str(port),
            "SERVING_GRPC_PORT": str(grpc_port),
            "SERVING_POLL_SECONDS": "0.1",
        } | variables
        told = [f"--env={name}={value}" for name, value in said.items()]
        container = ending.enter_context(
            docker.running("--network=host", *HARDENED, *told, *options, serving_image)
        )
        running = Running(container, port, grpc_port)
        ending.callback(running.client.close)
        return running

    with ending:
        yield run


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    """Return MLflow behind basic authentication, on the host."""
    server = GuardedMlflow(tmp_path_factory.mktemp("guarded"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def account(guarded: GuardedMlflow) -> Account:
    """Return an account there that may read."""
    return guarded.reader("serving")


@pytest.fixture
def stocked(tmp_path: Path, save_bundle: Save) -> str:
    """Return the option that gives the server a home with a model that it served before."""
    home = tmp_path / "home"
    stock(home, *save_bundle())
    opened(home)
    return f"--volume={home}:/var/lib/serving"


def opened(folder: Path) -> None:
    """Let the image's own user write a folder of the test, as an orchestrator would."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)


def test_it_is_small(docker: Docker, serving_image: str) -> None:
    """All its layers, unpacked, are less than 700 MB."""
    told = docker("history", "--human=false", "--format={{.Size}}", serving_image)
    megabytes = sum(int(size) for size in told.split()) / 1e6
    assert 100 < megabytes < 700


def test_it_holds_the_server_and_nothing_to_build_with(docker: Docker, serving_image: str) -> None:
    """Another user than root, nothing to install with, all code compiled, nothing private."""
    modules = "airflow mlflow pip setuptools pkg_resources wheel ensurepip uv include stack pandas"
    programs = "gcc cc g++ c++ ld make pip pip3 uv curl wget"
    seen = json.loads(
        docker(
            *("run", "--rm", *HARDENED, "--entrypoint=python", serving_image),
            *("-c", LOOK, modules, programs),
        )
    )
    code = {str(path.relative_to(PROJECT)) for path in (PROJECT / "serving").rglob("*.py")}
    code -= {"serving/image/slim.py", "serving/grpc/generate.py"}
    code |= {"serving/bundle/trusted_names.json"}
    assert set(seen.pop("folder")) == code
    assert seen == {
        "ids": [10001, 10001, [10001]],
        "modules": [],
        "programs": [],
        "tests": [],
        "headers": [],
        "not compiled": [],
        "writable": ["/var/lib/serving"],
    }


def test_it_says_what_it_is(docker: Docker, serving_image: str) -> None:
    """What an engine and a registry of images read, without being told by anybody else."""
    told = docker.inspected(serving_image)["Config"]
    assert told["User"] == "10001:10001"
    assert told["ExposedPorts"].keys() == {"8090/tcp", "8091/tcp"}
    assert told["Volumes"].keys() == {"/var/lib/serving"}
    assert told["StopSignal"] == "SIGTERM"
    assert told["Labels"]["org.opencontainers.image.version"] == VERSION
    assert told["Labels"]["org.opencontainers.image.revision"] == "tested"
    assert told["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_docker_file_passes_the_builders_own_checks(docker: Docker, clean_copy: Path) -> None:
    """BuildKit's lint finds nothing."""
    docker("build", "--check", clean_copy / "serving")


def test_without_keys_it_does_not_start(docker: Docker, serving_image: str) -> None:
    """One sentence that says what to set, exit code 1."""
    ended = docker.ended("run", "--rm", *HARDENED, serving_image)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "set SERVING_API_KEYS_FILE or SERVING_API_KEY" in ended.stderr


def test_it_is_live_soon_and_knows_it(docker: Docker, serving_image: str) -> None:
    """Within seconds on a published port, read-only, with no registry; the health check agrees.

    The bound is ten times what a machine with nothing else to do needs.
    """
    published = ("--publish=127.0.0.1::8090", "--env=SERVING_API_KEY=sesame")
    began = time.monotonic()
    with docker.running(*HARDENED, *published, serving_image) as container:
        url = f"http://{docker('port', container.name, '8090').splitlines()[0]}/v2/health/live"
        until(lambda: _answers(url))
        seconds = time.monotonic() - began
        until(lambda: container.health() == "healthy")
        assert container.stop()[0] == 0
    sys.stdout.write(f"live after {seconds:.2f} s\n")
    assert seconds < 20


def test_a_folder_of_mlserver_is_its_argument(
    docker: Docker, serving_image: str, tmp_path: Path
) -> None:
    """`docker run ratchet-serving FOLDER` reads its files; the ports stay those of the image."""
    (tmp_path / "settings.json").write_text(json.dumps({"http_port": 9000, "kafka_enabled": True}))
    opened(tmp_path)
    options = ("--env=SERVING_API_KEY=sesame", f"--volume={tmp_path}:/models:ro")
    with docker.running(*HARDENED, *options, serving_image, "/models") as container:
        until(lambda: container.health() == "healthy")
        assert "kafka_enabled in /models/settings.json" in container.log()


def test_a_champion_of_a_guarded_registry_answers_in_every_way(
    start: Start, guarded: GuardedMlflow, account: Account, save_bundle: Save, s3_server: Seaweed
) -> None:
    """Followed with an account that only reads; REST, gRPC, metrics, spans, rows in a bucket."""
    with guarded.publishing() as publisher:
        publisher.register(NAME)
        version = publisher.publish(NAME, *save_bundle(constant(0.25), name=NAME))
        publisher.crown(NAME, version)
    place = s3_server.fresh()
    with collecting() as collector:
        server = start(
            SERVING_REGISTRY_URL=guarded.url,
            SERVING_REQUEST_LOG=place.url,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
            **account.variables(),
            **{name: value for name, value in place.options.items() if name.startswith("AWS_")},
        )
        until(lambda: server.status(f"/v2/models/{NAME}/ready") == 200)
        rows = server.client.post(INFER, json=ROWS, headers={"x-request-id": "over-rest"}).json()
        over_grpc = _over_grpc(server.address)
        assert (rows["model_version"], rows["rows"][0]["probability"]) == (version, 0.25)
        assert (over_grpc.model_version, over_grpc.model_name) == (version, NAME)
        assert f'ratchet_rows_total{{model="{NAME}",version="{version}"}} 2.0' in (
            server.client.get("/metrics").text
        )
        assert NAME in server.client.get("/openapi.json").text
        page = server.client.get("/docs").text
        assert all(server.status(path) == 200 for path in _parts_of(page)), page
        assert httpx.get(f"{server.client.base_url}/v2", timeout=5).status_code == 401
        assert server.container.stop()[0] == 0
        _require_span(collector)
    kept = pl.read_parquet(
        f"{place.url}/{NAME}/**/*.parquet",
        storage_options={name.lower(): value for name, value in place.options.items()},
    )
    assert kept.height == 2
    assert "over-rest" in set(kept["request_id"])
    assert account.password not in server.container.log()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_family_answers_as_it_was_fitted(
    docker: Docker, serving_image: str, layout: Any, tmp_path: Path
) -> None:
    """To 1e-6 in the image, and by the same graphs as in the server's whole environment."""
    expected = saved(tmp_path, layout)
    whole = tmp_path.with_name(f"{tmp_path.name}-whole")
    shutil.copytree(tmp_path, whole)
    subprocess.run([SERVER, "-c", ASK], cwd=whole, env={"PYTHONPATH": str(PROJECT)}, check=True)
    opened(tmp_path)
    docker(
        *("run", "--rm", *HARDENED, f"--volume={tmp_path}:/models", "--workdir=/models"),
        *("--entrypoint=python", serving_image, "-c", ASK),
    )
    assert apart(tmp_path, expected) == {}
    here, there = _graphs(tmp_path), _graphs(whole)
    # Whether a slow model is tried as a graph is a matter of time; whether it can be one is not.
    tried = here.keys() & there.keys()
    assert {name: here[name] for name in tried} == {name: there[name] for name in tried}
    assert sum(here[name] for name in tried) > len(tried) / 3


@pytest.mark.parametrize("workers", [1, 2])
def test_it_stops_when_all_that_was_asked_is_answered(
    start: Start, stocked: str, tmp_path: Path, workers: int
) -> None:
    """As process 1, alone or over workers: exit code 0 in time, and the rows kept in a folder."""
    kept = tmp_path / "requests"
    kept.mkdir()
    opened(kept)
    server = start(
        stocked,
        f"--volume={kept}:/requests",
        SERVING_WORKERS=str(workers),
        SERVING_REQUEST_LOG="/requests",
    )
    until(lambda: server.status("/v2/models/boxes/ready") == 200)
    live = f"{server.client.base_url}/v2/health/live"
    rest = threading.Event()
    with ThreadPoolExecutor(13) as asking:
        half_sent = threading.Barrier(13, timeout=30)
        answers = [asking.submit(_asked_in_halves, server, half_sent, rest) for _ in range(12)]
        half_sent.wait()
        stopping = asking.submit(server.container.stop)
        # Nobody new gets in; those who have begun to ask do so to the end.
        until(lambda: not _answers(live))
        rest.set()
        assert [answer.result() for answer in answers] == [200] * 12
        code, seconds = stopping.result()
    assert code == 0
    assert seconds < 10
    assert pl.read_parquet(f"{kept}/**/*.parquet").height == 12


def test_a_worker_that_dies_leaves_nothing_behind(start: Start, stocked: str) -> None:
    """Process 1 starts another and buries the dead one."""
    server = start(stocked, SERVING_WORKERS="2")
    until(lambda: server.status("/v2/models/boxes/ready") == 200)
    before = set(server.container.run("python", "-c", WORKER_PIDS).split())
    server.container.run("python", "-c", f"import os; os.kill({min(before)}, 9)")
    until(lambda: len(set(server.container.run("python", "-c", WORKER_PIDS).split()) - before) == 1)
    assert server.container.run("python", "-c", ZOMBIES) == "0"
    assert server.container.stop()[0] == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _asked_in_halves(server: Running, half_sent: threading.Barrier, rest: threading.Event) -> int:
    """Return the status of a request whose second half is sent when `rest` is set."""
    body = json.dumps(ROWS).encode()

    def parts() -> Iterator[bytes]:
        yield body[:10]
        half_sent.wait()
        rest.wait(timeout=30)
        yield body[10:]

    headers = {**KEY, "content-length": str(len(body))}
    with httpx.Client(base_url=server.client.base_url, headers=headers, timeout=15) as client:
        return client.post("/v2/models/boxes/infer", content=parts()).status_code


def _over_grpc(address: str) -> Any:
    contents = v2.InferTensorContents(fp32_contents=[1.0, 2.0, 3.0])
    tensor = v2.ModelInferRequest.InferInputTensor(
        name="x", datatype="FP32", shape=[1, 3], contents=contents
    )
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            f"/{SERVICES[0]}/ModelInfer",
            request_serializer=v2.ModelInferRequest.SerializeToString,
            response_deserializer=v2.ModelInferResponse.FromString,
        )
        question = v2.ModelInferRequest(model_name=NAME, inputs=[tensor])
        return ask(question, metadata=tuple(KEY.items()), timeout=10)


def _parts_of(page: str) -> list[str]:
    """Return what a page loads from its own server."""
    links = [part.split('"')[0] for mark in ('src="', 'href="') for part in page.split(mark)[1:]]
    assert links
    return [link if link.startswith("/") else f"/{link}" for link in links]


def _require_span(collector: Collector) -> None:
    names = {one.value.string_value for span in collector.spans() for one in span.attributes}
    assert NAME in names


def _graphs(folder: Path) -> dict[str, bool]:
    """Return which graphs were kept below a folder, and whether each could be made."""
    return {
        str(path.relative_to(folder)): path.stat().st_size > 0 for path in folder.rglob("*.onnx")
    }
