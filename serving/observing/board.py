"""Files through which the workers of one host share their state.

`<folder>/<number>.json` is replaced atomically. The file of a worker that has ended does not count,
nor does one that is older than a live worker's can be.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG = logging.getLogger("serving.process.workers")
PUBLISH_SECONDS = 1.0
"""Seconds between two publications of a worker."""
STALE_SECONDS = 10.0


class WorkerFigures:
    """The shared folder, as one worker uses it."""

    def __init__(
        self, folder: Path, number: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create the folder; `number` is this worker's, `clock` is one of the host's, never set."""
        folder.mkdir(parents=True, exist_ok=True)
        self.number = number
        self._folder = folder
        self._clock = clock
        self._failed = False

    def publish(self, state: dict[str, Any]) -> None:
        """Replace this worker's state; a disk error is logged once."""
        said = {"pid": os.getpid(), "time": self._clock(), "state": state}
        draft = self._folder / f".{self.number}"
        try:
            draft.write_text(json.dumps(said))
            draft.replace(self._folder / f"{self.number}.json")
        except OSError as error:
            if not self._failed:
                LOG.warning("other workers cannot be told of this one's state: %s", error.strerror)
            self._failed = True
        else:
            self._failed = False

    def others(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the state of every other live worker, with its number."""
        paths = [one for one in self._folder.glob("[0-9]*.json") if one.stem != str(self.number)]
        found = ((int(path.stem), self._read(path)) for path in sorted(paths))
        return [(number, state) for number, state in found if state is not None]

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            said = json.loads(path.read_text())
            is_fresh = (
                0 <= self._clock() - said["time"] < STALE_SECONDS
            )  # less than 0 before a boot
            state = said["state"] if is_fresh and _lives(said["pid"]) else None
        except (OSError, ValueError, KeyError, TypeError):
            # A file that somebody else left there is no worker.
            return None
        return state if isinstance(state, dict) else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
