"""The Airflow trigger that starts a run when files wait in a landing place.

It is level-triggered: it fires as long as a file waits and no run is active that will claim it.
Events may be merged or lost, because a run does not rely on them: it lists the landing place
itself. A place that cannot be reached is tried again until it can be.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async
from run_account import INGEST, REPORT

from include.errors import reason_of
from include.formats.completeness import POLL_SECONDS, CompletenessWatch
from include.settings import read_settings, s3_options
from include.store import Entry, open_store
from include.store.address import local_folder
from include.text.showable import showable, showable_name

log = logging.getLogger(__name__)
S3_CONNECTION = "ratchet_s3"
S3_POLL_SECONDS = 2.0
MOST_NAMED = 20
"""Most file names in an event, which is stored as a row of Airflow's database."""
UNANSWERED = (AirflowRuntimeError, OSError, RuntimeError, ValueError, NameError)
"""Exceptions of a request to Airflow that refuses, does not respond, responds with something that
cannot be read, or, outside of a triggerer, does not exist."""
T = TypeVar("T")


class LandingTrigger(BaseEventTrigger):
    """Fires when a completely written file waits and no run of the Dag is active.

    After an event it does not fire again for `repeat_seconds`, in which the run can start.
    """

    def __init__(self, url: str, repeat_seconds: float = 10.0, dag_id: str = "") -> None:
        """`url` is the landing place of the Dag `dag_id`; a missing folder is created."""
        super().__init__()
        self.url = url
        self.repeat_seconds = repeat_seconds
        self.dag_id = dag_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, from which a triggerer recreates it; no secrets."""
        arguments = {
            "url": self.url,
            "repeat_seconds": self.repeat_seconds,
            "dag_id": self.dag_id,
        }
        return "landing_trigger.LandingTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the place for ever; a file that is unchanged between two polls is complete."""
        lookout = await self._until_it_works(self._lookout)
        bell = RunWaker(Runs(self.dag_id), self.repeat_seconds)
        while True:
            seen = await self._until_it_works(partial(asyncio.to_thread, lookout.look))
            if waiting := await bell.rings_for(seen):
                yield _event({entry.name for entry in waiting})
            await asyncio.sleep(S3_POLL_SECONDS if is_bucket(self.url) else POLL_SECONDS)

    async def _lookout(self) -> CompletenessWatch:
        if not is_bucket(self.url):
            await asyncio.to_thread(Path(self.url).mkdir, parents=True, exist_ok=True)
            return CompletenessWatch(open_store(self.url, {}))
        try:
            connection = await Connection.async_get(S3_CONNECTION)
            options = connection_options(connection, await connection.aextra_dejson())
        except AirflowNotFoundException:
            options = read_settings().s3
        return CompletenessWatch(await asyncio.to_thread(open_store, self.url, options))

    async def _until_it_works(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until it succeeds; only the first failure is logged."""
        away = False
        while True:
            try:
                return await ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                if not away:
                    away_because = showable(reason_of(error))
                    log.warning("%s cannot be looked at, asked again: %s", self.url, away_because)
                away = True
                await asyncio.sleep(S3_POLL_SECONDS)


class RunWaker:
    """Decides at each poll whether to fire an event ("ring")."""

    def __init__(self, runs: "Runs", repeat_seconds: float) -> None:
        """Use `runs`, those of the Dag; wait `repeat_seconds` after an event."""
        self._runs = runs
        self._repeat_seconds = repeat_seconds
        self._rung: float | None = None
        """Time of the last event, until a run is seen; None otherwise."""
        self._offered: frozenset[Entry] = frozenset()
        """The files that waited at the last event, or while a run was active since then."""
        self._held: frozenset[Entry] = frozenset()
        """The files not to fire for, because a person stopped the run that was to claim them."""
        self._stopped: frozenset[str] | None = None
        """Runs that are known to have been stopped; None before the first poll."""

    async def rings_for(self, seen: Collection[Entry]) -> list[Entry]:
        """Return the files to fire an event for; empty when none is to be fired.

        `seen` are the complete files in the landing place.
        """
        waiting = frozenset(seen)
        # What is gone was taken, or withdrawn: the same name is a new file when it comes again.
        self._held &= waiting
        if waiting <= self._held:
            self._rung, self._offered = None, self._offered & waiting
            return []
        active = await self._runs.are_active()
        if active:
            self._rung, self._offered = None, waiting
            return []
        # Where Airflow does not tell, a file that was not there at the last event has to ring by
        # itself.
        if self._is_under_way() and not (active is None and waiting - self._offered):
            return []
        await self._hold_what_was_stopped(waiting)
        if waiting <= self._held:
            return []
        self._rung, self._offered = time.monotonic(), waiting
        return [entry for entry in seen if entry not in self._held]

    def _is_under_way(self) -> bool:
        """Return whether the last event is so recent that its run may not exist yet."""
        return self._rung is not None and time.monotonic() - self._rung <= self._repeat_seconds

    async def _hold_what_was_stopped(self, waiting: frozenset[Entry]) -> None:
        """Hold back the files of a run that a person stopped before it claimed anything.

        A file that arrives later starts a run, which claims these files too.
        """
        stopped = await self._runs.stopped_early(self._stopped)
        if self._stopped is not None and stopped - self._stopped:
            self._held |= self._offered & waiting
            for name in sorted(showable_name(entry.name) for entry in self._held):
                log.warning(
                    "%s waits, because a person stopped the run of %s that would have taken it: "
                    "trigger the Dag by hand, or drop another file",
                    name,
                    self._runs.dag_id,
                )
        self._stopped = stopped


class Runs:
    """The runs of a Dag, as Airflow's API reports them to the triggerer."""

    def __init__(self, dag_id: str) -> None:
        """`dag_id` is the Dag; when it is empty nothing is requested."""
        self.dag_id = dag_id
        self._stops = -1
        self._is_unanswered = False

    async def are_active(self) -> bool | None:
        """Return whether a run is queued or running; None when Airflow does not tell.

        Such a run claims what waits, or ends before it does.
        """
        count = await self._told("get_dr_count", states=["queued", "running"])
        return None if count is None else count > 0

    async def stopped_early(self, known: frozenset[str] | None) -> frozenset[str]:
        """Return the runs that a person stopped before their first task had finished.

        `known` is the result of the last call; all runs are requested only when that has changed.
        """
        stops = await self._told("get_ti_count", task_ids=[REPORT], states=["skipped"])
        if stops is None or (known is not None and stops == self._stops):
            return known or frozenset()
        self._stops = stops
        of_runs = await self._told("get_task_states", task_ids=[INGEST, REPORT]) if stops else {}
        return frozenset(
            run
            for run, tasks in (of_runs or {}).items()
            if tasks.get(REPORT) == "skipped" and tasks.get(INGEST) != "success"
        )

    async def _told(self, question: str, **wanted: Any) -> Any:
        """Send a request; None when there is no usable response, which is logged the first time.

        In doubt the trigger fires: an event too many costs an empty run, one too few leaves a file.
        """
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        if not self.dag_id:
            return None
        try:
            ask = getattr(RuntimeTaskInstance, question)
            answer = await sync_to_async(ask)(dag_id=self.dag_id, **wanted)
        except UNANSWERED as error:
            if not self._is_unanswered:
                log.warning(
                    "Airflow does not tell of the runs of %s, so that a file may start an empty "
                    "run more: %s",
                    self.dag_id,
                    showable(f"{type(error).__name__}: {error}"),
                )
            self._is_unanswered = True
            return None
        self._is_unanswered = False
        return answer


def _event(waiting: set[str]) -> TriggerEvent:
    """Return an event with the names of the waiting files, safe to show."""
    named = [showable_name(name) for name in sorted(waiting)[:MOST_NAMED]]
    return TriggerEvent({"waiting": named, "files": len(waiting)})


def is_bucket(url: str) -> bool:
    """Return whether a place is in a bucket."""
    return local_folder(url) is None


def connection_options(connection: Any, extra: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the options of `open_store` from an Airflow connection of type aws or generic."""
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
