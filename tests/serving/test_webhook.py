"""A hint that an alias moved: MLflow's own signature, its own delivery, and nobody else's."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import mlflow
import pytest
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.webhooks import delivery

from serving.refusals import RequestRefusedError
from serving.registry.webhook import DELIVERY, OLDEST_SECONDS, SIGNATURE, TIMESTAMP, Webhook
from tests.serving.conftest import Save
from tests.serving.registries import MlflowPublisher

SECRET = "a secret of the two"  # noqa: S105 - of this test alone
MOVED = json.dumps(
    {"entity": "model_version_alias", "action": "created", "data": {"alias": "champion"}}
)
NOW = 1_800_000_000.0


class Bell:
    """Counts how often the watch was poked."""

    def __init__(self, secret: str = SECRET, now: float | None = NOW) -> None:
        """Make a webhook whose clock stands, or follows the real one for None."""
        self.rung = 0
        clock = time.time if now is None else lambda: now
        self.webhook = Webhook(secret, self._ring, clock)

    def _ring(self) -> None:
        self.rung += 1


def signed(body: str, stamp: str = str(int(NOW)), secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a delivery as the installed MLflow signs it."""
    signature = delivery._generate_hmac_signature(secret, "an id", stamp, body)
    return {SIGNATURE: signature, TIMESTAMP: stamp, DELIVERY: "an id"}


def test_a_signed_alias_event_pokes() -> None:
    """The same for a moved and a removed alias; other events are taken and do nothing."""
    bell = Bell()
    bell.webhook.receive(signed(MOVED), MOVED.encode())
    removed = MOVED.replace("created", "deleted")
    bell.webhook.receive(signed(removed), removed.encode())
    assert bell.rung == 2
    other = json.dumps({"entity": "registered_model", "action": "created"})
    bell.webhook.receive(signed(other), other.encode())
    assert bell.rung == 2


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, MOVED, 401),
        (signed(MOVED, secret="another"), MOVED, 401),  # noqa: S106 - of this test alone
        (signed(MOVED), MOVED.replace("champion", "canary"), 401),
        (signed(MOVED) | {TIMESTAMP: str(int(NOW) + 1)}, MOVED, 401),
        (signed(MOVED) | {DELIVERY: "another"}, MOVED, 401),
        (signed(MOVED) | {SIGNATURE: "v1,\xe9"}, MOVED, 401),
        (signed(MOVED, str(int(NOW - OLDEST_SECONDS) - 1)), MOVED, 401),
        (signed(MOVED, str(int(NOW + OLDEST_SECONDS) + 1)), MOVED, 401),
        (signed(MOVED, "soon"), MOVED, 401),
        (signed("no event"), "no event", 400),
        (signed("[]"), "[]", 400),
    ],
    ids=[
        "no signature",
        "another secret",
        "another body",
        "another time",
        "another id",
        "no ASCII",
        "long ago",
        "far ahead",
        "no time",
        "no JSON",
        "no object",
    ],
)
def test_what_mlflow_did_not_sign_lately_is_refused(
    headers: dict[str, str], body: str, status: int
) -> None:
    """Nothing is looked at for it."""
    bell = Bell()
    with pytest.raises(RequestRefusedError) as refused:
        bell.webhook.receive(headers, body.encode())
    assert refused.value.status == status
    assert bell.rung == 0


def test_without_a_secret_there_is_no_webhook() -> None:
    """Not even for a delivery that is signed with an empty one."""
    bell = Bell(secret="")
    with pytest.raises(RequestRefusedError, match="SERVING_WEBHOOK_SECRET") as refused:
        bell.webhook.receive(signed(MOVED, secret=""), MOVED.encode())
    assert refused.value.status == 404


@pytest.fixture
def listening() -> Iterator[tuple[str, Bell]]:
    """Return the address of a listener and the bell that its deliveries ring."""
    bell = Bell(now=None)

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                bell.webhook.receive(headers, body)
                status = 200
            except RequestRefusedError as error:
                status = error.status
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v2/repository/webhook", bell
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_real_mlflow_rings(
    mlflow_url: str, listening: tuple[str, Bell], save_bundle: Save
) -> None:
    """A tracking server with a webhook delivers what moving an alias there means."""
    url, bell = listening
    name = f"boxes-{uuid.uuid4().hex[:8]}"
    publisher = MlflowPublisher(mlflow_url)
    publisher.register(name)
    version = publisher.publish(name, *save_bundle(name=name))
    client = mlflow.MlflowClient(mlflow_url)
    event = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
    made = client.create_webhook("ratchet", url, [event], secret=SECRET)
    deadline = time.monotonic() + 20
    while not bell.rung and time.monotonic() < deadline:
        publisher.crown(name, version)
        time.sleep(0.2)
    client.delete_webhook(made.webhook_id)
    assert bell.rung
