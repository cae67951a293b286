"""The routes around real models: what each answers, and that every error has the same form."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from serving import VERSION, request
from serving.bundle import Layout, encode
from serving.models.holder import Holder, LoadedVersion, Refusal
from tests.serving.conftest import EXAMPLE, FEATURES, Open

pytestmark = pytest.mark.asyncio
BODY_LIMIT = 32 * 2**20
INFER = "/v2/models/boxes/infer"


def _question(rows: list[list[float]], **rest: Any) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [len(rows), 3], "datatype": "FP64", "data": rows}
    return {"inputs": [tensor], **rest}


async def test_answers_a_row(client: httpx.AsyncClient, boxes: LoadedVersion) -> None:
    """A row gets probability, label, the version that spoke, the threshold and its own id."""
    answer = await client.post(INFER, json=_question([[1, 2, 3]], id="r-1"))
    assert answer.status_code == 200
    assert answer.json() == {
        "model_name": boxes.name,
        "model_version": "3",
        "id": "r-1",
        "outputs": [
            {"name": "probability", "shape": [1], "datatype": "FP64", "data": [0.7]},
            {"name": "label", "shape": [1], "datatype": "INT64", "data": [1]},
        ],
        "parameters": {"threshold": 0.4},
    }


@pytest.fixture
def wooden(holder: Holder, open_bundle: Open) -> LoadedVersion:
    """Return a model with categories and missing values that answers as "boxes"."""
    layout = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("wood",))
    rows = encode(layout, [(1.0, "oak"), (2.0, "ash"), (3.0, None)] * 5)
    model = HistGradientBoostingClassifier(min_samples_leaf=1, max_iter=3)
    model.fit(rows, np.nan_to_num(rows[:, 1]) > 0)
    held = LoadedVersion("boxes", "1", open_bundle(model, layout=layout, example=((1.5, None),)))
    holder.hold(held)
    return held


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), KNeighborsClassifier(n_jobs=2)),
        RandomForestClassifier(20, n_jobs=2, random_state=0),
        XGBClassifier(n_estimators=20, n_jobs=2),
    ],
    ids=["logistic regression", "neighbours", "forest", "xgboost"],
)
async def test_answers_what_the_model_says(
    client: httpx.AsyncClient, holder: Holder, open_bundle: Open, model: Any
) -> None:
    """The endpoint's probabilities are the fitted pipeline's own, for every family."""
    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    model.fit(rows, rows @ [1, -1, 2] > 0)
    holder.hold(LoadedVersion("boxes", "1", open_bundle(model)))
    answer = await client.post(INFER, json=_question(rows.tolist()))
    served = answer.json()["outputs"][0]["data"]
    np.testing.assert_allclose(served, model.predict_proba(rows)[:, 1], rtol=0, atol=1e-6)


async def test_only_the_loaded_version_answers(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """A version that is not loaded is 404, and the sentence says which one is."""
    root = f"/v2/models/{boxes.name}/versions"
    for rest in ("", "/ready"):
        assert (await client.get(f"{root}/3{rest}")).status_code == 200
        missing = await client.get(f"{root}/2{rest}")
        assert missing.status_code == 404
        assert "version 3 is" in missing.json()["error"]
    answer = await client.post(f"{root}/3/infer", json=_question([[1, 2, 3]]))
    assert answer.json()["model_version"] == "3"
    answer = await client.post(f"{root}/2/infer", json=_question([[1, 2, 3]]))
    assert answer.status_code == 404


async def test_metadata_says_what_to_send(client: httpx.AsyncClient, boxes: LoadedVersion) -> None:
    """Metadata carries the protocol's fields, the real feature names and a row to try."""
    answer = (await client.get(f"/v2/models/{boxes.name}")).json()
    assert answer["versions"] == ["3"]
    assert answer["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
    assert [output["name"] for output in answer["outputs"]] == ["probability", "label"]
    assert answer["parameters"]["features"] == list(FEATURES)
    assert answer["parameters"]["example"] == list(EXAMPLE[0])
    assert (await client.get("/v2")).json()["name"] == "ratchet"


async def test_a_refused_successor_is_shown(
    client: httpx.AsyncClient, holder: Holder, boxes: LoadedVersion
) -> None:
    """While an old version answers, the reason against the new one can be read at the endpoint."""
    holder.refuse(boxes.name, Refusal("4", "its digest is wrong"))
    answer = await client.get(f"/v2/models/{boxes.name}/ready")
    assert answer.status_code == 200
    assert answer.json()["version"] == "3"
    assert answer.json()["refused"] == {
        "champion": {"version": "4", "reason": "its digest is wrong", "kind": "other"}
    }
    everything = (await client.get("/v2/health/ready")).json()
    assert everything["models"]["boxes"]["refused"]["champion"]["version"] == "4"


async def test_ready_needs_a_champion(
    client: httpx.AsyncClient, holder: Holder, open_bundle: Open
) -> None:
    """The server lives without a champion, is not ready, and says why; with one it is ready."""
    holder.follow({"boxes": None})
    empty = await client.get("/v2/health/ready")
    assert empty.status_code == 503
    assert "no model is loaded" in empty.json()["error"]
    assert (await client.get("/v2/health/live")).status_code == 200
    holder.hold(LoadedVersion("boxes", "1", open_bundle()))
    ready = await client.get("/v2/health/ready")
    assert ready.status_code == 200
    assert ready.json()["models"]["boxes"]["version"] == "1"


async def test_a_registry_that_is_away_is_told(
    client: httpx.AsyncClient, holder: Holder, boxes: LoadedVersion
) -> None:
    """A server that cannot reach its registry stays ready and says so."""
    holder.registry_problem = "connection refused"
    answer = await client.get("/v2/health/ready")
    assert answer.status_code == 200
    assert answer.json()["models"][boxes.name]["version"] == "3"
    assert answer.json()["registry"] == {"reachable": False, "reason": "connection refused"}


async def test_absence_has_a_reason(client: httpx.AsyncClient, holder: Holder) -> None:
    """Unknown is 404; known but not loaded is 503, with what stands in the way."""
    holder.follow({"crownless": None, "coming": "2", "broken": "5"})
    holder.refuse("broken", Refusal("5", "its digest is wrong"))
    expected = {
        "nobody": (404, "the models are: broken, coming, crownless"),
        "crownless": (503, "no champion yet"),
        "coming": (503, "version 2 of coming is being loaded"),
        "broken": (503, "its digest is wrong"),
    }
    for name, (status, reason) in expected.items():
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/ready"):
            answer = await client.get(path)
            assert answer.status_code == status
            assert reason in answer.json()["error"]
    holder.registry_problem = "connection refused"
    assert (await client.get("/v2/models/nobody")).status_code == 503


async def test_errors_have_one_form(client: httpx.AsyncClient, boxes: LoadedVersion) -> None:
    """Wrong paths, methods and bodies all get a status that fits and a sentence."""
    answers = [
        (404, await client.get("/v3")),
        (405, await client.get(INFER)),
        (405, await client.delete(f"/v2/models/{boxes.name}")),
        (404, await client.post("/v2/models/nobody/infer", json=_question([[1, 2, 3]]))),
        (404, await client.get("/docs/assets/nothing.js")),
        (404, await client.get("/docs/assets/nothing.js", headers={"range": "bytes=9-1"})),
        (400, await client.post(INFER, content=b"\x00")),
        (400, await client.post(INFER, json=_question([[1, 2, 1e39]]))),
    ]
    for status, answer in answers:
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]
        assert len(answer.json()["error"]) > 10
    assert "GET" in answers[2][1].headers["allow"]


@pytest.mark.parametrize("part", ["bytes=0-9", "bytes=999999999-", "bytes=9-1", "lines=1", "x"])
async def test_a_part_of_a_page_is_answered_with_the_whole(
    client: httpx.AsyncClient, part: str
) -> None:
    """As a server may, whatever part is asked for: there is no answer without a JSON sentence."""
    path = "/docs/assets/swagger-ui.css"
    answer = await client.get(path, headers={"range": part})
    assert answer.status_code == 200
    assert answer.content == (await client.get(path)).content


async def test_a_body_without_end_is_cut_off(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """A body over the limit is 413 as soon as it is over, announced or not."""
    del boxes
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 2 * BODY_LIMIT:
            sent += 2**20
            yield b" " * 2**20

    announced = await client.post(INFER, content=b" " * (BODY_LIMIT + 1))
    streamed = await client.post(INFER, content=endless())
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert "over 32 MiB" in answer.json()["error"]
        assert answer.headers["connection"] == "close"


async def test_values_that_break_the_model_are_the_callers(
    client: httpx.AsyncClient, holder: Holder, open_bundle: Open
) -> None:
    """Finite numbers that overflow inside a model are 400, never a 500 or a NaN."""
    rows = np.array([[0, 0, 0], [1, 1e-3, 1]], dtype=np.float32)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, [0, 1])
    holder.hold(LoadedVersion("boxes", "1", open_bundle(model)))
    answer = await client.post(INFER, json=_question([[3e38, 3e38, -3e38]]))
    assert answer.status_code == 400
    assert "cannot score these rows" in answer.json()["error"]


async def test_a_request_keeps_the_version_it_found(
    client: httpx.AsyncClient, holder: Holder, open_bundle: Open, boxes: LoadedVersion
) -> None:
    """A swap while a body is still coming in does not change who answers it."""
    swapped = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield json.dumps(_question([[1, 2, 3]])).encode()
        holder.hold(LoadedVersion(boxes.name, "4", open_bundle()))
        swapped.set()
        yield b" "

    answer = await client.post(INFER, content=slow())
    assert swapped.is_set()
    assert answer.json()["model_version"] == "3"
    assert (await client.post(INFER, json=_question([[1, 2, 3]]))).json()["model_version"] == "4"


async def test_openapi_has_the_real_names_and_a_row_that_works(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """The document names the loaded models' features, and each of its examples can be sent."""
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.0")
    infer = document["paths"][f"/v2/models/{boxes.name}/infer"]["post"]
    assert "height, width, depth" in infer["description"]
    for example in infer["requestBody"]["content"]["application/json"]["examples"].values():
        answer = await client.post(INFER, json=example["value"])
        assert answer.status_code == 200


async def test_categories_and_gaps_are_told_and_answered(
    client: httpx.AsyncClient, wooden: LoadedVersion
) -> None:
    """Metadata says what to send by name and which categories are known; the example can be sent.

    So can a category that is new and a value that is missing, and the answer is the model's own.
    """
    answer = (await client.get(f"/v2/models/{wooden.name}")).json()
    assert answer["inputs"] == [
        {"name": "height", "datatype": "FP32", "shape": [-1]},
        {"name": "wood", "datatype": "BYTES", "shape": [-1]},
    ]
    assert answer["parameters"]["categories"] == {"wood": ["ash", "oak"]}
    assert answer["parameters"]["missing"] == ["wood"]
    assert answer["parameters"]["example"] == [1.5, None]
    document = (await client.get("/openapi.json")).json()
    infer = document["paths"][f"/v2/models/{wooden.name}/infer"]["post"]
    assert "with datatype BYTES and strings for wood" in infer["description"]
    assert "May be null: wood" in infer["description"]
    examples = infer["requestBody"]["content"]["application/json"]["examples"]
    assert list(examples) == ["rows", "by_name"]
    assert (await client.post(INFER, json=examples["by_name"]["value"])).status_code == 200
    rows = [(1.0, "oak"), (1.0, None), (2.0, "teak")]
    inputs = request.request_body(answer["inputs"], [0.0, ""])["inputs"]
    for place, tensor in enumerate(inputs):
        tensor |= {"shape": [3], "data": [row[place] for row in rows]}
    served = (await client.post(INFER, json={"inputs": inputs})).json()["outputs"][0]["data"]
    expected = wooden.bundle.scores(encode(wooden.bundle.manifest.layout, rows))
    assert served == expected.tolist()


async def test_the_docs_need_no_internet(client: httpx.AsyncClient) -> None:
    """The page and everything it loads come from the server itself."""
    assert (await client.get("/", follow_redirects=True)).url.path == "/docs"
    page = (await client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for part in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):
        assert part in page
        assert (await client.get(f"/docs/assets/{part}")).status_code == 200


async def test_the_version_is_the_projects(client: httpx.AsyncClient) -> None:
    """What the server calls itself is the version that the project states."""
    assert (await client.get("/v2")).json()["version"] == VERSION
    assert (await client.get("/openapi.json")).json()["info"]["version"] == VERSION
