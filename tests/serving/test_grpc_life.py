"""A gRPC server from its port to its end: keys, limits, calls given up, stopping."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import grpc
import httpx
import pytest
import uvicorn
import uvloop
from grpc import aio

from serving.grpc import inference_pb2 as v2
from serving.grpc.server import GrpcServer, start_grpc
from serving.models.batcher import Batcher
from serving.models.holder import Holder, LoadedVersion
from tests.serving.grpc_asked import AT, LONGEST, ROWS, Ask, Shelf, call, question, raw_question
from tests.serving.parts import app_around, server_around


@pytest.mark.asyncio
async def test_a_message_over_the_limit_is_refused(ask: Ask) -> None:
    """A message that is larger than the limit is RESOURCE_EXHAUSTED, and the next is answered."""
    with pytest.raises(aio.AioRpcError) as refused:
        await ask("ModelInfer", raw_question(b"\0" * (LONGEST + 1)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await ask("ModelInfer", question())).model_version == "3"


@pytest.mark.asyncio
async def test_a_request_id_comes_back(ask: Ask) -> None:
    """The caller's request id is sent back, with an answer and with a refusal."""
    for asked in (question(), v2.ModelInferRequest(model_name="nobody")):
        answer = ask("ModelInfer", asked, metadata=(("x-request-id", "r-7"),))
        await answer.code()
        assert dict(tuple(await answer.trailing_metadata()))["x-request-id"] == "r-7"


@pytest.mark.asyncio
async def test_cancelled_calls_end_alone(ask: Ask) -> None:
    """Calls that are given up cost those beside them nothing."""
    calls = [ask("ModelInfer", question(id=str(number))) for number in range(120)]
    for given_up in calls[::3]:
        given_up.cancel()
    kept = await asyncio.gather(*(one for place, one in enumerate(calls) if place % 3))
    assert [answer.id for answer in kept] == [str(place) for place in range(120) if place % 3]


@pytest.mark.asyncio
async def test_a_key_is_asked_for(holder: Holder, boxes: LoadedVersion, shelf: Shelf) -> None:
    """Without a key only the server's own health is told; with one everything is."""
    del boxes
    around = server_around(holder, {"SERVING_API_KEY": "sesame"})
    server = await start_grpc(around.service, shelf, AT, around.guard.keys, around.memory)
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert (await call(channel, "ServerLive")).live
        for name in ("ServerMetadata", "ModelInfer", "RepositoryIndex", "RepositoryModelUnload"):
            with pytest.raises(aio.AioRpcError) as refused:
                await call(channel, name)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "an API key is needed" in refused.value.details()
        key = (("authorization", "Bearer sesame"),)
        answer = await call(channel, "ModelInfer", question(), metadata=key)
        assert answer.model_version == "3"
    await server.stop(0)
    around.batcher.close()


@pytest.mark.asyncio
async def test_a_taken_port_is_told(holder: Holder, shelf: Shelf) -> None:
    """A port that somebody else listens on is an error with a sentence, not a shared port."""
    around = server_around(holder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        context = replace(AT, port=port)
        with pytest.raises(OSError, match=f"port {port} is not to be had for gRPC"):
            await start_grpc(around.service, shelf, context, around.guard.keys, around.memory)


def test_answers_beside_rest_under_uvloop(
    holder: Holder, boxes: LoadedVersion, shelf: Shelf
) -> None:
    """On the loop that the server runs on, one process answers both protocols."""

    async def both() -> tuple[str, str]:
        around = server_around(holder)
        server = await start_grpc(around.service, shelf, AT, around.guard.keys, around.memory)
        listener = socket.create_server(("127.0.0.1", 0))
        rest = uvicorn.Server(uvicorn.Config(app_around(holder), log_config=None))
        serving = asyncio.ensure_future(rest.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v2/models/boxes/infer"
        async with (
            aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
            httpx.AsyncClient() as client,
        ):
            over_grpc = await call(channel, "ModelInfer", question())
            over_rest = await client.post(url, json={"rows": ROWS})
        rest.should_exit = True
        await serving
        await server.stop(0)
        around.batcher.close()
        return over_grpc.model_version, over_rest.json()["model_version"]

    assert uvloop.run(both()) == (boxes.version, boxes.version)


async def _nothing() -> None:
    return


@pytest.mark.asyncio
async def test_stopping_answers_what_is_in_flight(
    server: GrpcServer, ask: Ask, boxes: LoadedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that came before the stop is answered, and one that comes after it is not."""
    started, go_on = asyncio.Event(), asyncio.Event()
    predict = Batcher.predict

    async def slow(self: Batcher, held: LoadedVersion, matrix: Any) -> Any:
        started.set()
        await go_on.wait()
        return await predict(self, held, matrix)

    monkeypatch.setattr(Batcher, "predict", slow)
    before = asyncio.ensure_future(_answered(ask))
    await started.wait()
    stopping = asyncio.ensure_future(server.stop(30))
    await asyncio.sleep(0)
    go_on.set()
    assert (await before).model_version == boxes.version
    await stopping
    with pytest.raises(aio.AioRpcError):
        await ask("ModelInfer", question())


async def _answered(ask: Ask) -> Any:
    return await ask("ModelInfer", question())
