"""MLflow's registry as far as the server asks it, over real HTTP, in a thread of its own.

Guarantees the few requests of `serving.registry.registry` with MLflow's own forms and nothing
else, so that a benchmark or a load test can move an alias in a microsecond and knows when it did.
What MLflow itself answers is proved where the server is tested against it.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from serving.bundle.registered import DIGEST_TAG, SPEC_TAG, Role

_API = "/api/2.0/mlflow/"
_FILES = "/api/2.0/mlflow-artifacts/artifacts/"


@dataclass(frozen=True)
class Move:
    """An alias that was moved."""

    at: float
    """On the clock of `time.monotonic`, in seconds; taken just before the registry told anyone."""
    alias: str
    version: str


@dataclass
class Registry:
    """One registered model, its versions and its aliases; thread-safe by single assignments."""

    name: str
    url: str = ""
    moves: list[Move] = field(default_factory=list)
    _versions: list[tuple[Path, str]] = field(default_factory=list)
    _aliases: dict[str, str] = field(default_factory=dict)

    def publish(self, folder: Path, digest: str) -> str:
        """Add a bundle's folder as a version and return its number."""
        self._versions.append((folder, digest))
        return str(len(self._versions))

    def point(self, version: str, alias: str = Role.CHAMPION) -> None:
        """Move an alias to a version."""
        self.moves.append(Move(time.monotonic(), alias, version))
        self._aliases = {**self._aliases, alias: version}

    def answer(self, path: str, query: dict[str, str]) -> dict[str, Any] | bytes | None:
        """Return what MLflow says to a GET, the bytes of a file, or None for what is not here."""
        if path.startswith(_FILES):
            return self._file(path.removeprefix(_FILES))
        asked = path.removeprefix(_API)
        if asked == "registered-models/search":
            return {"registered_models": [self._model()]}
        if asked == "registered-models/get":
            return {"registered_model": self._model()}
        version = query.get("version", "")
        if asked == "model-versions/get-download-uri":
            return {"artifact_uri": f"mlflow-artifacts:/{version}"}
        return {"model_version": self._version(version)} if asked == "model-versions/get" else None

    def _model(self) -> dict[str, Any]:
        aliases = [{"alias": alias, "version": one} for alias, one in self._aliases.items()]
        tags = [{"key": SPEC_TAG, "value": self.name}]
        return {"name": self.name, "tags": tags, "aliases": aliases}

    def _version(self, version: str) -> dict[str, Any]:
        _, digest = self._versions[int(version) - 1]
        tags = [{"key": DIGEST_TAG, "value": digest}]
        return {"name": self.name, "version": version, "tags": tags}

    def _file(self, path: str) -> bytes | None:
        version, _, name = path.partition("/")
        file = self._versions[int(version) - 1][0] / Path(name).name
        return file.read_bytes() if file.is_file() else None


@contextmanager
def registry(name: str) -> Iterator[Registry]:
    """Run a registry of one model on a free loopback port."""
    kept = Registry(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(kept))
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            answer = registry.answer(unquote(parts.path), query)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing: what is asked every second is no news."""

    return Handler
