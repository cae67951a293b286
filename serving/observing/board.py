"""Where the workers of one host read what the others say of themselves.

`<folder>/<number>.json` is replaced whole, so a reader never sees half of it. What a worker that
has ended left there does not count, nor what is older than a live worker lets it become.
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
"""How often a worker that is well publishes."""
STALE_SECONDS = 10.0


class Board:
    """One worker's place among the others."""

    def __init__(self, folder: Path, number: int, clock: Callable[[], float] = time.time) -> None:
        """Make the folder; `number` is this worker's, `clock` gives seconds that all share."""
        folder.mkdir(parents=True, exist_ok=True)
        self.number = number
        self._folder = folder
        self._clock = clock
        self._failed = False

    def publish(self, state: dict[str, Any]) -> None:
        """Replace what this worker says; a disk that will not have it is named in the log once."""
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
        """Return what every other live worker says, with its number."""
        paths = [one for one in self._folder.glob("[0-9]*.json") if one.stem != str(self.number)]
        found = ((int(path.stem), self._read(path)) for path in sorted(paths))
        return [(number, state) for number, state in found if state is not None]

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            said = json.loads(path.read_text())
            is_fresh = self._clock() - said["time"] < STALE_SECONDS
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
