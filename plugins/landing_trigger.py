"""The bell of the landing folder.

A level trigger: it says "something waits", and says it again while something still waits. Events
may be merged or lost on their way; the folder is the truth, and the run that wakes looks there
itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.adapters.landing import POLL_SECONDS, look, settled


class LandingTrigger(BaseEventTrigger):
    """Fires when a settled file waits, and every `repeat_seconds` while one does."""

    def __init__(self, folder: str, repeat_seconds: float = 10.0) -> None:
        """`folder` is a spec's landing folder, made when there is none yet."""
        super().__init__()
        self.folder = folder
        self.repeat_seconds = repeat_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to make this trigger again."""
        arguments = {"folder": self.folder, "repeat_seconds": self.repeat_seconds}
        return "landing_trigger.LandingTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch the folder for ever, two looks a poll apart telling whether a writer is done."""
        folder = Path(self.folder)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        before = await asyncio.to_thread(look, folder)
        announced: set[str] = set()
        rung = 0.0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            now = await asyncio.to_thread(look, folder)
            waiting = set(settled(folder, before, now))
            if waiting - announced or (waiting and time.monotonic() - rung > self.repeat_seconds):
                yield TriggerEvent({"waiting": sorted(waiting)})
                rung = time.monotonic()
            before, announced = now, waiting
