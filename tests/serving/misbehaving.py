"""A registry on loopback that answers as it is told to: slowly, for ever, or in another form."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SEARCH = "/api/2.0/mlflow/registered-models/search"
VERSION = "/api/2.0/mlflow/model-versions/get"
PLACE = "/api/2.0/mlflow/model-versions/get-download-uri"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
Answer = Callable[["Handler"], object]


class Handler(BaseHTTPRequestHandler):
    """Answers a GET with what the registry says of its path."""

    protocol_version = "HTTP/1.1"
    server: "Misbehaving"

    def do_GET(self) -> None:
        """Answer; whoever hangs up has heard enough."""
        path = urlsplit(self.path).path
        with suppress(OSError):
            self.server.find(path)(self)
        self.close_connection = True

    def do_POST(self) -> None:
        """Answer as to a GET, once the question is heard."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def query(self) -> dict[str, str]:
        """Return the query of the address."""
        return {key: one[0] for key, one in parse_qs(urlsplit(self.path).query).items()}

    def begin(self, status: int = 200, **headers: str) -> None:
        """Send a status and headers, and nothing of what is to follow."""
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self, content: bytes, status: int = 200, **headers: str) -> None:
        """Send a whole answer."""
        self.begin(status, content_length=str(len(content)), **headers)
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Misbehaving(ThreadingHTTPServer):
    """Holds models as MLflow does, and answers otherwise where it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of loopback."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.models: list[Any] = []
        self.instead: dict[str, Answer] = {}
        self.stopped = threading.Event()
        self._bundles: dict[tuple[str, str], tuple[Path, str]] = {}

    def publish(self, name: str, folder: Path, digest: str, version: str = "1") -> None:
        """Hold a version of a model as its champion."""
        self._bundles[name, version] = (folder, digest)
        self.models = [one for one in self.models if one.get("name") != name]
        self.models.append(
            {"name": name, "aliases": [{"alias": "champion", "version": version}], "more": {}}
        )

    def find(self, path: str) -> Answer:
        """Return what answers a path: the longest beginning of it that there is a way for."""
        usual: dict[str, Answer] = {
            SEARCH: lambda request: said(request, {"registered_models": self.models}),
            VERSION: self._version,
            PLACE: self._place,
            FILES: self._file,
        }
        ways = usual | self.instead
        found = sorted((way for way in ways if unquote(path).startswith(way)), key=len)
        return ways[found[-1]] if found else lambda request: request.body(b"", 404)

    def _version(self, request: Handler) -> None:
        query = request.query()
        digest = self._bundles[query["name"], query["version"]][1]
        said(request, {"model_version": {"tags": [{"key": "ratchet.digest", "value": digest}]}})

    def _place(self, request: Handler) -> None:
        query = request.query()
        said(request, {"artifact_uri": f"mlflow-artifacts:/{query['name']}/{query['version']}"})

    def _file(self, request: Handler) -> None:
        name, version, file = unquote(request.path.removeprefix(FILES)).split("/")
        request.body((self._bundles[name, version][0] / file).read_bytes())


@contextmanager
def misbehaving() -> Iterator[Misbehaving]:
    """Run such a registry."""
    registry = Misbehaving()
    thread = threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        registry.stopped.set()
        registry.shutdown()
        registry.server_close()
        thread.join()


def said(request: Handler, value: object) -> None:
    """Answer with JSON."""
    request.body(json.dumps(value).encode())


def drip(request: Handler) -> None:
    """Answer a byte at a time, for ever."""
    request.begin()
    while not request.server.stopped.wait(0.05):
        request.wfile.write(b" ")


def drip_headers(request: Handler) -> None:
    """Begin with headers that never end."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not request.server.stopped.wait(0.05):
        request.wfile.write(b"x")


def silence(request: Handler) -> None:
    """Answer nothing and stay."""
    request.server.stopped.wait(60)


def fail_and_drip(request: Handler) -> None:
    """Answer 500 and then nothing."""
    request.begin(500, content_length="99999")
    silence(request)


def flood(request: Handler) -> None:
    """Send as much as is taken, without saying how much it is."""
    request.begin()
    while not request.server.stopped.is_set():
        request.wfile.write(b" " * 2**16)


def crumbs(request: Handler) -> None:
    """Send as much as is taken in chunks of a byte."""
    request.begin(transfer_encoding="chunked")
    while not request.server.stopped.is_set():
        request.wfile.write(b"1\r\n \r\n" * 2**13)


def later(seconds: float, then: Answer) -> Answer:
    """Answer after a while."""

    def answer(request: Handler) -> None:
        time.sleep(seconds)
        then(request)

    return answer
