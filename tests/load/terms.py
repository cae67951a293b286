"""Which version could rightly answer when: what a load test compares each answer with.

The server follows the registry by asking again and again, so a version may answer from the moment
its alias was moved there until the server was seen to answer with the next one.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.serving.served import Served


@dataclass(frozen=True)
class Term:
    """A time in which a version could answer; seconds of `time.monotonic`."""

    version: str
    since: float
    until: float


def is_rightful(terms: Sequence[Term], version: str, wanted: float, came: float) -> bool:
    """Say whether a version could answer at any time from the question to the answer."""
    return any(
        term.version == version and term.since <= came and wanted <= term.until for term in terms
    )


class Mover:
    """Moves the champion to and fro between the versions of a server, and keeps the terms."""

    def __init__(self, served: Served) -> None:
        """Start from the champion that answers now."""
        self._served = served
        self._terms = [Term("1", -float("inf"), float("inf"))]
        self._stop = threading.Event()
        self.problem: BaseException | None = None

    @property
    def terms(self) -> list[Term]:
        """Return the terms so far; the last one is not over."""
        return list(self._terms)

    @property
    def moves(self) -> int:
        """How many moves the server has followed."""
        return len(self._terms) - 1

    def move(self) -> None:
        """Move the champion once and return when the server answers with the new one."""
        last = self._terms[-1]
        version = "1" if last.version == "2" else "2"
        since = time.monotonic()
        self._served.crown(version)
        ended = Term(last.version, last.since, time.monotonic())
        self._terms[-1:] = [ended, Term(version, since, float("inf"))]

    @contextmanager
    def moving(self, pause_seconds: float) -> Iterator[None]:
        """Move again and again in a thread until the block ends; its error is raised here."""
        thread = threading.Thread(target=self._keep_moving, args=(pause_seconds,))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self.problem is not None:
            raise self.problem

    def _keep_moving(self, pause_seconds: float) -> None:
        try:
            while not self._stop.wait(pause_seconds):
                self.move()
        except Exception as error:  # noqa: BLE001 - raised again where the block ends
            self.problem = error
