"""Pages of other sites, open in the browser of somebody who can reach the server."""

import httpx
import pytest

from serving.models.holder import Holder, LoadedVersion
from tests.serving.parts import app_around

pytestmark = pytest.mark.asyncio
KEY = {"authorization": "Bearer walnut"}
FOREIGN: dict[str, dict[str, str]] = {
    "as a browser says it": {"sec-fetch-site": "cross-site", "origin": "http://evil.example"},
    "another port of the host": {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:3000"},
    "an old browser": {"origin": "http://evil.example"},
    "a file": {"origin": "null"},
    "no address": {"origin": "http://[evil"},
}
OWN: dict[str, dict[str, str]] = {
    "a program": {},
    "the page /docs": {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8090"},
    "the same in an old browser": {"origin": "http://127.0.0.1:8090"},
    "by the name of loopback": {"host": "localhost:8090", "origin": "http://localhost:8090"},
    "an address that was typed": {"sec-fetch-site": "none"},
}
REBOUND = {
    "host": "evil.example:8090",
    "sec-fetch-site": "same-origin",
    "origin": "http://evil.example:8090",
}


async def unloaded(holder: Holder, headers: dict[str, str], key: str | None = None) -> int:
    """Ask to unload as a page would, return the status."""
    transport = httpx.ASGITransport(app=app_around(holder, {"SERVING_API_KEY": key or ""}))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as asking:
        path = "/v2/repository/models/boxes/unload"
        answer = await asking.post(
            path, content=b"{}", headers={"content-type": "text/plain"} | headers
        )
        return answer.status_code


@pytest.mark.parametrize("key", [None, "walnut"])
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
async def test_a_page_of_another_site_takes_no_model_out_of_service(
    holder: Holder, boxes: LoadedVersion, headers: dict[str, str], key: str | None
) -> None:
    """With the password that a browser remembers neither."""
    assert await unloaded(holder, headers | (KEY if key else {}), key) == 403
    assert holder.take(boxes.name, None) is boxes


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN.keys())
async def test_programs_and_the_servers_own_page_do(
    holder: Holder, boxes: LoadedVersion, headers: dict[str, str]
) -> None:
    """As before."""
    del boxes
    assert await unloaded(holder, headers) == 200


async def test_a_name_that_leads_here_is_no_page_of_ours_without_a_key(
    holder: Holder, boxes: LoadedVersion
) -> None:
    """Somebody's DNS may say that their name stands for loopback."""
    del boxes
    assert await unloaded(holder, REBOUND) == 403
    assert await unloaded(holder, REBOUND | KEY, "walnut") == 200
