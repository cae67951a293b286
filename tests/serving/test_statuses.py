"""The statuses in the OpenAPI document are those that there are: each is seen, and no other."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from serving.bundle import Bundle, Layout, Manifest
from serving.models.holder import Holder, LoadedVersion
from serving.protocol.openapi import OF_CONNECTIONS
from tests.serving.parts import app_around
from tests.serving.tensors_sent import tensor

KEY = {"x-api-key": "sesame"}
ROOT = "/v2/models/boxes"
INFER = f"{ROOT}/infer"
BODY = json.dumps({"inputs": [tensor([1, 2], [1, 2])]}).encode()
MANIFEST = Manifest("boxes", "tried", Layout(("a", "b")), 0.5, ("0", "1"), data_version=1)
VARIABLES = {"SERVING_API_KEY": "sesame", "SERVING_BODY_LIMIT_MIB": "1"}
Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


class _Model:
    """A model that fails or takes its time as its first number says."""

    def predict_proba(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return a half for each row, if at all."""
        if rows[0, 0] == 500:
            raise RuntimeError("it fell over")
        time.sleep(0.5 if rows[0, 0] == 504 else 0)
        return np.full((len(rows), 2), 0.5)


def _asked(first: float) -> bytes:
    return json.dumps({"inputs": [tensor([first, 2], [1, 2])]}).encode()


def _post(
    body: bytes = BODY, path: str = INFER, headers: Mapping[str, str] = MappingProxyType({})
) -> Ask:
    return lambda client: client.post(path, content=body, headers={**KEY, **headers})


def _get(path: str, headers: Mapping[str, str] = KEY) -> Ask:
    return lambda client: client.get(path, headers=dict(headers))


async def _too_many(client: httpx.AsyncClient) -> httpx.Response:
    """Return the last refusal of requests that come together, or an answer."""
    answers = await asyncio.gather(*(_post()(client) for _ in range(8)))
    return max(answers, key=lambda answer: answer.status_code)


# Everything that can come of a request: where the model is, what is set, and what is asked.
HELD: list[tuple[dict[str, str], Ask]] = [
    ({}, _post()),
    ({}, _post(b"{")),
    ({}, lambda client: client.post(INFER, content=BODY)),
    ({}, _post(path=f"{ROOT}/versions/3/infer")),
    ({}, _post(bytes(2**21))),
    ({}, _post(headers={"content-encoding": "br"})),
    ({}, _post(headers={"inference-header-content-length": "none"})),
    ({"SERVING_QUEUE_LIMIT": "1"}, _too_many),
    ({}, _post(_asked(500))),
    ({"SERVING_DEADLINE_SECONDS": "0.05"}, _post(_asked(504))),
    *(
        ({}, _get(path, headers))
        for path in ("/v2", "/v2/health/live", "/v2/health/ready", ROOT, f"{ROOT}/ready")
        for headers in (KEY, {})
    ),
]
ABSENT: list[Ask] = [_post(), _get(ROOT), _get(f"{ROOT}/ready"), _get("/v2/health/ready")]


@pytest.mark.asyncio
async def test_the_document_has_the_statuses_that_there_are() -> None:
    """By path and method, over all that can come of a request."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)

    async def ask(holder: Holder, variables: dict[str, str], ask_once: Ask) -> None:
        app = app_around(holder, VARIABLES | variables)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await ask_once(client)
        path = answer.request.url.path.replace("/versions/3", "")
        seen[path, answer.request.method.lower()].add(str(answer.status_code))

    held = LoadedVersion("boxes", "4", Bundle(MANIFEST, _Model()))
    there, coming, gone = (Holder(registry_problem=None) for _ in range(3))
    there.hold(held)
    coming.follow({"boxes": "4"})
    for variables, one in HELD:
        await ask(there, variables, one)
    for holder in (coming, gone):
        for one in ABSENT:
            await ask(holder, {}, one)
    # What a connection answers before it knows the address is tried where connections are.
    of_connections = {str(status) for status in OF_CONNECTIONS}
    documented = _documented(await _document(there))
    assert documented == {place: statuses | of_connections for place, statuses in seen.items()}


def _documented(document: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (path, method): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "/versions/" not in path
    }


async def _document(holder: Holder) -> dict[str, Any]:
    transport = httpx.ASGITransport(app=app_around(holder, VARIABLES))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        document: dict[str, Any] = (await client.get("/openapi.json", headers=KEY)).json()
    return document
