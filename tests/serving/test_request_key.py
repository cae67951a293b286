"""The script that asks one row carries a key where a server wants one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from serving import request

METADATA = {
    "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 1]}],
    "parameters": {"example": [1.0]},
}
ANSWER = {
    "model_name": "boxes",
    "model_version": "3",
    "outputs": [{"name": "label", "data": [1]}, {"name": "probability", "data": [0.5]}],
    "parameters": {"threshold": 0.4},
}


class _Locked(BaseHTTPRequestHandler):
    """Answers those who send the key, as the server does."""

    def do_GET(self) -> None:
        self._answer(METADATA)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(ANSWER)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, answer: dict[str, Any]) -> None:
        known = self.headers["Authorization"] == "Bearer sesame"
        body = json.dumps(answer if known else {"error": "send a key"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def locked() -> Iterator[str]:
    """Return the address of a server that wants a key."""
    with HTTPServer(("127.0.0.1", 0), _Locked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_key_goes_along(locked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the key both questions are answered; without it the server's sentence is printed."""
    asking = ["--model", "boxes", "--url", locked]
    assert request.main([*asking, "--key", "sesame"]) == 0
    assert capsys.readouterr().out.startswith("boxes version 3: label 1, probability 0.5000")
    for wrong in ([], ["--key", "open"]):
        assert request.main([*asking, *wrong]) == 1
        assert capsys.readouterr().err == "send a key\n"


def test_a_key_that_no_header_can_hold_is_not_printed(
    locked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key with a line break or beyond ASCII is refused without being shown."""
    for key in ("sesame\nopen", "sésame"):
        assert request.main(["--model", "boxes", "--url", locked, "--key", key]) == 1
        told = capsys.readouterr().err
        assert "the key holds characters" in told
        assert "same" not in told
