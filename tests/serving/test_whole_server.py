"""The server put together: keys, canary, shadow, metrics, request log, repository, bodies."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from serving.app import Server, make_app
from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion
from serving.refusals import RequestRefusedError
from serving.rest.body import Bodies
from serving.traffic.memory_budget import MemoryBudget
from tests.serving.conftest import Open, constant
from tests.serving.parts import server_around

pytestmark = pytest.mark.asyncio
INFER = "/v2/models/boxes/infer"
ROWS = {"rows": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}
KEY = {"x-api-key": "sesame"}


async def _nothing() -> None:
    return


def _talking(server: Server) -> httpx.AsyncClient:
    app = make_app(server, _nothing)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


def _held(open_bundle: Open, version: str, probability: float) -> LoadedVersion:
    return LoadedVersion("boxes", version, open_bundle(constant(probability)))


async def _numbers(client: httpx.AsyncClient) -> dict[str, float]:
    page = (await client.get("/metrics", headers=KEY)).text
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name: float(number) for name, _, number in lines}


async def test_a_key_is_asked_for_everywhere_but_at_the_probes(
    holder: Holder, boxes: LoadedVersion
) -> None:
    """Answers, metadata, metrics, pages and the repository; in any of the three forms."""
    del boxes
    basic = base64.b64encode(b"anybody:sesame").decode()
    forms = [KEY, {"authorization": "Bearer sesame"}, {"authorization": f"Basic {basic}"}]
    variables = {"SERVING_API_KEY": "sesame", "SERVING_WEBHOOK_SECRET": "s3cret"}
    async with _talking(server_around(holder, variables)) as client:
        for path in ("/v2", "/v2/models/boxes", "/openapi.json", "/docs", "/metrics"):
            refused = await client.get(path)
            assert (refused.status_code, path) == (401, path)
            assert "an API key is needed" in refused.json()["error"]
            assert refused.headers["www-authenticate"].startswith("Basic")
            assert (await client.get(path, headers=KEY)).status_code == 200
        for path in (INFER, "/v2/repository/index", "/v2/repository/models/boxes/unload"):
            assert (await client.post(path, json=ROWS)).status_code == 401
        for headers in forms:
            assert (await client.post(INFER, json=ROWS, headers=headers)).status_code == 200
        assert (await client.get("/v2/health/live")).status_code == 200
        unsigned = await client.post("/v2/repository/webhook", json={})
        assert unsigned.status_code == 401
        assert "is not the signature of this delivery" in unsigned.json()["error"]
        assert (await client.get("/v2/health/ready")).status_code == 200


async def test_a_canary_answers_its_share_and_always_the_same_requests(
    holder: Holder, open_bundle: Open, boxes: LoadedVersion
) -> None:
    """By the request's own id, else by `x-request-id`; who asks for a version gets that one."""
    holder.hold(_held(open_bundle, "4", 0.1), Role.CANARY)
    async with _talking(server_around(holder, {"SERVING_CANARY_SHARE": "0.3"})) as client:

        async def answered_by(number: int, path: str = INFER) -> str:
            by_header = {"x-request-id": f"r-{number}"} if number % 2 else {}
            body = ROWS if number % 2 else {**ROWS, "id": f"r-{number}"}
            answer = await client.post(path, json=body, headers=by_header)
            return str(answer.json()["model_version"])

        first = [await answered_by(number) for number in range(300)]
        again = [await answered_by(number) for number in range(300)]
        numbered = await answered_by(3, f"/v2/models/boxes/versions/{boxes.version}/infer")
        numbers = await _numbers(client)
    assert first == again
    assert 60 < first.count("4") < 120
    assert numbered == boxes.version
    assert numbers['ratchet_answers_total{model="boxes",role="canary"}'] == 2 * first.count("4")


async def test_a_shadow_answers_nobody_and_is_compared(
    holder: Holder, open_bundle: Open, boxes: LoadedVersion
) -> None:
    """Its labels and differences are counted; one that cannot predict costs nobody anything."""
    holder.hold(_held(open_bundle, "5", 0.2), Role.SHADOW)
    server = server_around(holder)
    async with _talking(server) as client:
        answers = [await client.post(INFER, json=ROWS) for _ in range(3)]
        deadline = time.monotonic() + 20
        rows = 'ratchet_shadow_rows_total{model="boxes",version="5"}'
        while (numbers := await _numbers(client)).get(rows) != 6:
            assert time.monotonic() < deadline, numbers
            await asyncio.sleep(0.02)
    server.guard.close()
    assert {answer.json()["model_version"] for answer in answers} == {boxes.version}
    assert numbers['ratchet_shadow_disagreements_total{model="boxes",version="5"}'] == 6
    apart = numbers['ratchet_shadow_difference_max{model="boxes",version="5"}']
    assert apart == pytest.approx(0.5)


async def test_metrics_tell_versions_statuses_and_batches(
    holder: Holder, boxes: LoadedVersion
) -> None:
    """What was answered and refused, by model; names that nobody knows make no series."""
    async with _talking(server_around(holder)) as client:
        for _ in range(3):
            await client.post(INFER, json=ROWS)
        await client.post(INFER, content=b"{")
        await client.post("/v2/models/made-up/infer", json=ROWS)
        numbers = await _numbers(client)
    assert numbers['ratchet_requests_total{model="boxes",status="2xx"}'] == 3
    assert numbers['ratchet_requests_total{model="boxes",status="4xx"}'] == 1
    assert numbers['ratchet_requests_total{model="",status="4xx"}'] == 1
    assert numbers[f'ratchet_rows_total{{model="boxes",version="{boxes.version}"}}'] == 6
    assert numbers[f'ratchet_batch_requests_count{{model="boxes",version="{boxes.version}"}}'] == 3
    role = f'ratchet_model_info{{model="boxes",role="champion",version="{boxes.version}"}}'
    assert numbers[role] == 1
    assert not any("made-up" in name for name in numbers)


async def test_answers_are_kept_under_the_id_that_the_caller_sees(
    holder: Holder, boxes: LoadedVersion, tmp_path: Path
) -> None:
    """A request without an id gets one, in the answer's header and in the request log."""
    server = server_around(holder, {"SERVING_REQUEST_LOG": str(tmp_path)})
    async with _talking(server) as client:
        given = await client.post(INFER, json=ROWS, headers={"x-request-id": "mine"})
        made = await client.post(INFER, json=ROWS)
    server.guard.close()
    kept = pl.read_parquet(f"{tmp_path}/**/*.parquet")
    assert given.headers["x-request-id"] == "mine"
    assert set(kept["request_id"]) == {"mine", made.headers["x-request-id"]}
    assert kept.height == 4
    assert set(kept["version"]) == {boxes.version}


async def test_the_repository_can_be_asked_over_http(holder: Holder, boxes: LoadedVersion) -> None:
    """What is unloaded answers no more and says how it comes back; the index says why."""
    async with _talking(server_around(holder)) as client:
        listed = await client.post("/v2/repository/index", json={"ready": True})
        assert [one["version"] for one in listed.json()] == [boxes.version]
        assert (await client.post("/v2/repository/models/boxes/unload")).json() == {}
        gone = await client.post(INFER, json=ROWS)
        listed = await client.post("/v2/repository/index")
        bad = await client.post("/v2/repository/index", content=b"[1")
        hook = await client.post("/v2/repository/webhook", json={})
    assert gone.status_code == 503
    assert "POST /v2/repository/models/boxes/load brings it back" in gone.json()["error"]
    assert [one["state"] for one in listed.json()] == ["UNAVAILABLE"]
    assert bad.status_code == 400
    assert hook.status_code == 404


async def test_large_bodies_are_bounded_together() -> None:
    """Many callers that each send what one may send are told to come back."""
    memory, half = MemoryBudget(8000), asyncio.Event()
    bodies = Bodies(1000, memory)
    held = [bodies.reservation() for _ in range(10)]

    def slowly() -> AsyncIterator[MutableMapping[str, Any]]:
        async def parts() -> AsyncIterator[MutableMapping[str, Any]]:
            yield {"type": "http.request", "body": b"x" * 900, "more_body": True}
            await half.wait()
            yield {"type": "http.request", "body": b"x", "more_body": False}

        return parts()

    readers = [asyncio.ensure_future(bodies.read(slowly().__anext__, [], one)) for one in held[:9]]
    for _ in range(3):
        await asyncio.sleep(0)
    half.set()
    ended = await asyncio.gather(*readers, return_exceptions=True)
    read = [one for one in ended if isinstance(one, bytes)]
    refused = [one for one in ended if isinstance(one, RequestRefusedError)]
    assert [len(one) for one in read] == [901] * 8
    assert [(one.status, "too many large requests" in str(one)) for one in refused] == [(429, True)]
    with pytest.raises(RequestRefusedError, match="too many large requests"):
        await bodies.read(slowly().__anext__, [], held[9])  # they are held until they are answered
    for one in held:
        one.release()
    assert memory.held_bytes == 0
    assert len(await bodies.read(slowly().__anext__, [], held[9])) == 901
