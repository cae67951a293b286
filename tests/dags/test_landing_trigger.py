import asyncio
import importlib
from collections.abc import AsyncIterator
from pathlib import Path

import landing_trigger
import pytest
from airflow.triggers.base import TriggerEvent
from landing_trigger import LandingTrigger

pytestmark = pytest.mark.asyncio
POLL = 0.05


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look twenty times a second."""
    monkeypatch.setattr(landing_trigger, "POLL_SECONDS", POLL)


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
        await asyncio.sleep(POLL / 3)
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
