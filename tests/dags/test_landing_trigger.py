import asyncio
import importlib
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import landing_trigger
import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.triggers.base import TriggerEvent
from landing_trigger import LandingTrigger, connection_options

from include.formats.completeness import CompletenessWatch
from include.settings import read_settings
from include.store import open_store
from tests.logs import messages_of
from tests.seaweed import Bucket

pytestmark = pytest.mark.asyncio
POLL = 0.05


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look twenty times a second."""
    monkeypatch.setattr(landing_trigger, "POLL_SECONDS", POLL)
    monkeypatch.setattr(landing_trigger, "S3_POLL_SECONDS", POLL)


async def event(events: AsyncIterator[TriggerEvent], seconds: float = 5) -> list[str]:
    """Return the names that the next event tells."""
    told = await asyncio.wait_for(anext(events), seconds)
    waiting: list[str] = told.payload["waiting"]
    return waiting


async def is_silent(events: AsyncIterator[TriggerEvent], polls: int = 6) -> bool:
    """Say whether no event comes within so many polls."""
    try:
        await event(events, polls * POLL)
    except TimeoutError:
        return True
    return False


async def test_a_settled_file_rings(tmp_path: Path) -> None:
    """The folder is made when there is none; a file wakes, and so does the next one."""
    folder = tmp_path / "landing"
    events = LandingTrigger(str(folder)).run()
    waiting = asyncio.ensure_future(event(events))
    await asyncio.sleep(2 * POLL)
    (folder / "a.csv").write_text("a,y\n")
    assert await waiting == ["a.csv"]
    (folder / "b.csv").write_text("a,y\n")
    assert await event(events) == ["a.csv", "b.csv"]


async def test_an_empty_folder_is_silent(tmp_path: Path) -> None:
    """Hidden and temporary names wake nobody."""
    (tmp_path / "a.csv.part").write_text("a,y\n")
    assert await is_silent(LandingTrigger(str(tmp_path)).run())


async def test_a_file_that_still_grows_is_silent(tmp_path: Path) -> None:
    """Half a file wakes nobody; the whole one does."""
    path = tmp_path / "a.csv"
    path.write_text("a,y\n")
    waiting = asyncio.ensure_future(event(LandingTrigger(str(tmp_path)).run()))
    for number in range(30):
        with path.open("a") as file:
            file.write(f"{number},1\n")
        await asyncio.sleep(POLL / 4)
        assert not waiting.done()
    assert await waiting == ["a.csv"]


async def test_a_marker_rings_while_the_file_looks_busy(tmp_path: Path) -> None:
    """A writer that says it is done need not be still for a poll."""
    path = tmp_path / "a.csv"
    path.write_text("a,y\n")
    (tmp_path / "a.csv.done").touch()
    waiting = asyncio.ensure_future(event(LandingTrigger(str(tmp_path)).run()))
    for _ in range(200):
        with path.open("a") as file:
            file.write("1,1\n")
        await asyncio.sleep(POLL / 4)
        if waiting.done():
            break
    assert waiting.done()
    assert await waiting == ["a.csv"]


async def test_it_rings_again_while_the_file_waits(tmp_path: Path) -> None:
    """A lost event costs a pause, not the file."""
    (tmp_path / "a.csv").write_text("a,y\n")
    events = LandingTrigger(str(tmp_path), repeat_seconds=3 * POLL).run()
    for _ in range(3):
        assert await event(events) == ["a.csv"]


async def test_it_does_not_ring_at_every_look(tmp_path: Path) -> None:
    """Between repeats it is silent, and after the file was claimed for good."""
    path = tmp_path / "a.csv"
    path.write_text("a,y\n")
    events = LandingTrigger(str(tmp_path), repeat_seconds=60).run()
    assert await event(events) == ["a.csv"]
    assert await is_silent(events)


async def test_a_triggerer_makes_the_same_trigger_again(tmp_path: Path) -> None:
    """What is serialised is enough, under a path that every component can import."""
    path, arguments = LandingTrigger(str(tmp_path), repeat_seconds=3).serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert again.serialize() == (path, arguments)


@pytest.fixture(params=["connection", "environment"])
def _reachable(
    request: pytest.FixtureRequest, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tell how to reach the bucket: by an Airflow connection, or by the environment."""
    for name, value in bucket.options.items():
        monkeypatch.setenv(name, value if request.param == "environment" else "wrong")

    async def ask(conn_id: str) -> Connection:
        if request.param == "environment":
            raise AirflowNotFoundException(conn_id)
        return connection(bucket, conn_id)

    monkeypatch.setattr(Connection, "async_get", ask)


def connection(bucket: Bucket, conn_id: str = "ratchet_s3") -> Connection:
    """Return the connection that a team would set up for a bucket."""
    return Connection(
        conn_id=conn_id,
        conn_type="aws",
        login=bucket.options["AWS_ACCESS_KEY_ID"],
        password=bucket.options["AWS_SECRET_ACCESS_KEY"],
        extra=f'{{"endpoint_url": "{bucket.options["AWS_ENDPOINT_URL"]}"}}',
    )


@pytest.mark.usefixtures("_reachable")
async def test_an_object_in_a_bucket_rings(bucket: Bucket) -> None:
    """A prefix that does not exist yet is watched like any other."""
    waiting = asyncio.ensure_future(event(LandingTrigger(bucket.url).run()))
    await asyncio.sleep(4 * POLL)
    assert not waiting.done()
    store = open_store(bucket.url, bucket.options)
    await asyncio.to_thread(store.write, "a b.csv", b"a,y\n")
    assert await waiting == ["a b.csv"]


async def test_a_place_that_is_away_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage is told once and costs no trigger."""
    (tmp_path / "a.csv").write_text("a,y\n")
    trigger = LandingTrigger(str(tmp_path))
    look, failures = CompletenessWatch.look, iter(range(3))

    def shaky(lookout: Any) -> Any:
        if next(failures, None) is not None:
            raise OSError("stale file handle")
        return look(lookout)

    monkeypatch.setattr(CompletenessWatch, "look", shaky)
    with caplog.at_level(logging.WARNING, logger="landing_trigger"):
        assert await event(trigger.run()) == ["a.csv"]
    sentences = messages_of(caplog, "landing_trigger")
    assert [sentence.count("stale file handle") for sentence in sentences] == [1]


async def test_a_connection_says_how_to_reach_a_bucket(bucket: Bucket) -> None:
    """Type aws states the endpoint among its extras, a generic one may state a host."""
    aws = connection(bucket)
    options = connection_options(aws, await aws.aextra_dejson())
    assert options == bucket.options
    plain = Connection(conn_id="c", conn_type="generic", host="minio", port=9000, login="k")
    assert connection_options(plain, {})["AWS_ENDPOINT_URL"] == "http://minio:9000"
    assert "AWS_ENDPOINT_URL" not in connection_options(Connection(conn_id="c"), {})


async def test_a_task_asks_for_the_connection_only_for_a_bucket(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, spec: Any
) -> None:
    """Folders need no connection; without one the environment counts."""
    from task_call import reachable

    asked: list[str] = []

    def get(conn_id: str) -> Connection:
        asked.append(conn_id)
        if len(asked) > 1:
            raise AirflowNotFoundException(conn_id)
        return connection(bucket)

    monkeypatch.setattr(Connection, "get", get)
    local, there = read_settings({}), read_settings({"RATCHET_LAKE": bucket.url})
    assert (reachable(spec, local), asked) == (local, [])
    assert reachable(spec, there).s3 == bucket.options
    assert reachable(spec, there) == there


async def test_no_name_and_no_entry_stops_the_watch(tmp_path: Path) -> None:
    """A name that is no text rings as text; links, loops and pipes wake nobody and hold up none."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "folder.csv").mkdir()
    events = LandingTrigger(str(tmp_path)).run()
    assert await is_silent(events)
    names = [os.fsdecode(b"caf\xe9.csv"), "a\nb.csv", "c\u202e.csv"]
    for name in names:
        (tmp_path / name).write_text("a,y\n")
    told = await asyncio.wait_for(anext(LandingTrigger(str(tmp_path)).run()), 5)
    assert told.payload == {
        "waiting": [r"a\x0ab.csv", r"caf\xe9.csv", "c\\u202e.csv"],
        "files": 3,
    }
    assert json.dumps(told.payload, ensure_ascii=False).encode()


async def test_an_event_is_no_listing(tmp_path: Path) -> None:
    """Ten thousand files are one short row in the database."""
    for number in range(50):
        (tmp_path / f"{number:02}.csv").write_text("a,y\n")
    told = await asyncio.wait_for(anext(LandingTrigger(str(tmp_path)).run()), 5)
    assert (len(told.payload["waiting"]), told.payload["files"]) == (20, 50)
