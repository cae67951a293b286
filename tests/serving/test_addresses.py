"""Addresses as clients write them: slashes at the end, HEAD, and what only others have."""

import json
from typing import Any

import httpx
import pytest

from serving.models.holder import Holder, LoadedVersion
from serving.protocol.absent import ROUTES, ROUTES_OF_MODELS
from tests.serving.parts import app_around
from tests.serving.tensors_sent import tensor

pytestmark = pytest.mark.asyncio
QUESTION = {"inputs": [tensor([1, 2, 3], [1, 3])]}
PATHS = [
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/boxes",
    "/v2/models/boxes/ready",
    "/v2/models/boxes/versions/3",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_slash_at_the_end_changes_nothing(
    client: httpx.AsyncClient, boxes: LoadedVersion, path: str
) -> None:
    """Neither the answer nor its address: clients do not follow redirects; and HEAD is answered."""
    del boxes
    plain = await client.get(path)
    slashed = await client.get(f"{path}/")
    assert (slashed.status_code, slashed.json()) == (200, plain.json())
    head = await client.head(f"{path}/")
    assert (head.status_code, head.content) == (200, b"")


async def test_inferences_and_repository_calls_take_a_slash_too(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """As every address of the protocol does."""
    del boxes
    for path in ("/v2/models/boxes/infer/", "/v2/models/boxes/versions/3/infer/"):
        assert (await client.post(path, json=QUESTION)).status_code == 200
    assert (await client.post("/v2/repository/index/")).status_code == 200


async def test_a_slash_opens_nothing(holder: Holder, boxes: LoadedVersion) -> None:
    """What needs a key needs it under that address as well; a probe needs none."""
    del boxes
    app = app_around(holder, {"SERVING_API_KEY": "sesame"})
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/v2/", "/v2/models/boxes/", "/v2/models/boxes/config/"):
            assert (await client.get(path)).status_code == 401
        assert (await client.post("/v2/models/boxes/infer/", json=QUESTION)).status_code == 401
        assert (await client.get("/v2/health/live/")).status_code == 200


async def test_addresses_that_only_others_have_say_so(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """404 with what there is instead, to GET and POST."""
    del boxes
    of_models = {f"/v2/models/boxes{rest}": told for rest, told in ROUTES_OF_MODELS.items()}
    of_versions = {
        f"/v2/models/boxes/versions/3{rest}": told for rest, told in ROUTES_OF_MODELS.items()
    }
    for path, told in {**ROUTES, **of_models, **of_versions}.items():
        path = path.replace("{rest:path}", "region/mine/register")  # noqa: PLW2901 - as asked
        for answer in (await client.get(path), await client.post(path)):
            assert (answer.status_code, answer.json()["error"]) == (404, told)


LOADS: dict[str, tuple[Any, str]] = {
    "configuration": ({"parameters": {"config": "{}"}}, "the parameter config cannot be"),
    "files": ({"parameters": {"file:1/m.onnx": "AA=="}}, "the parameter file:1/m.onnx"),
    "no object": ([1], "no JSON of this call"),
    "no parameters": ({"parameters": 5}, "no JSON of this call"),
}


@pytest.mark.parametrize("deed", ["load", "unload"])
@pytest.mark.parametrize(("body", "says"), LOADS.values(), ids=LOADS.keys())
async def test_a_model_is_loaded_as_the_registry_has_it(
    client: httpx.AsyncClient, boxes: LoadedVersion, deed: str, body: Any, says: str
) -> None:
    """What a call of the repository says beyond that is refused, and nothing is done."""
    path = f"/v2/repository/models/boxes/{deed}"
    answer = await client.post(path, content=json.dumps(body))
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert (await client.get(f"/v2/models/{boxes.name}/ready")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b'{"parameters": {"unload_dependents": true}}'])
async def test_a_model_is_unloaded(
    client: httpx.AsyncClient, boxes: LoadedVersion, body: bytes
) -> None:
    """With an empty body as MLServer's client sends it, or as Triton's does."""
    answer = await client.post("/v2/repository/models/boxes/unload", content=body)
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await client.get(f"/v2/models/{boxes.name}/ready")).status_code == 503
