"""The bell of a landing place.

A level trigger: it says "something waits", and says it again while something still waits. Events
may be merged or lost on their way; the place is the truth, and the run that wakes looks there
itself. A place that cannot be reached is asked again and again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.arrivals import POLL_SECONDS, Lookout
from include.settings import read_settings, s3_options
from include.showable import showable, showable_name
from include.store import open_store

log = logging.getLogger(__name__)
S3_CONNECTION = "ratchet_s3"
S3_POLL_SECONDS = 2.0
MOST_NAMED = 20
"""Names in an event, which is a row of a database and no listing."""
T = TypeVar("T")


class LandingTrigger(BaseEventTrigger):
    """Fires when a settled file waits, and every `repeat_seconds` while one does."""

    def __init__(self, url: str, repeat_seconds: float = 10.0) -> None:
        """`url` is a spec's landing place; a folder is made when there is none yet."""
        super().__init__()
        self.url = url
        self.repeat_seconds = repeat_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to make this trigger again; no secret is part of it."""
        arguments = {"url": self.url, "repeat_seconds": self.repeat_seconds}
        return "landing_trigger.LandingTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch the place for ever, two looks a poll apart telling whether a writer is done."""
        lookout = await self._until_it_works(self._lookout)
        announced: set[str] = set()
        rung = 0.0
        while True:
            seen = await self._until_it_works(partial(asyncio.to_thread, lookout.look))
            waiting = {entry.name for entry in seen}
            if waiting - announced or (waiting and time.monotonic() - rung > self.repeat_seconds):
                yield _event(waiting)
                rung = time.monotonic()
            announced = waiting
            await asyncio.sleep(S3_POLL_SECONDS if is_bucket(self.url) else POLL_SECONDS)

    async def _lookout(self) -> Lookout:
        if not is_bucket(self.url):
            await asyncio.to_thread(Path(self.url).mkdir, parents=True, exist_ok=True)
            return Lookout(open_store(self.url, {}))
        try:
            connection = await Connection.async_get(S3_CONNECTION)
            options = connection_options(connection, await connection.aextra_dejson())
        except AirflowNotFoundException:
            options = read_settings().s3
        return Lookout(await asyncio.to_thread(open_store, self.url, options))

    async def _until_it_works(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer; the log tells of the first failure only."""
        away = False
        while True:
            try:
                return await ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                if not away:
                    away_because = showable(f"{type(error).__name__}: {error}")
                    log.warning("%s cannot be looked at, asked again: %s", self.url, away_because)
                away = True
                await asyncio.sleep(S3_POLL_SECONDS)


def _event(waiting: set[str]) -> TriggerEvent:
    """Return an event that names what waits, as people are shown it."""
    named = [showable_name(name) for name in sorted(waiting)[:MOST_NAMED]]
    return TriggerEvent({"waiting": named, "files": len(waiting)})


def is_bucket(url: str) -> bool:
    """Say whether a place is in a bucket."""
    return url.startswith("s3://")


def connection_options(connection: Any, extra: Mapping[str, Any]) -> Mapping[str, str]:
    """Return how to reach a bucket as an Airflow connection of type aws or generic states it."""
    port = f":{connection.port}" if connection.port else ""
    host = connection.host and (
        f"{connection.host}{port}"
        if "://" in connection.host
        else f"http://{connection.host}{port}"
    )
    return s3_options(
        {
            "AWS_ENDPOINT_URL": extra.get("endpoint_url") or host,
            "AWS_ACCESS_KEY_ID": connection.login or extra.get("aws_access_key_id"),
            "AWS_SECRET_ACCESS_KEY": connection.password or extra.get("aws_secret_access_key"),
            "AWS_SESSION_TOKEN": extra.get("aws_session_token"),
            "AWS_REGION": extra.get("region_name"),
        }
    )
