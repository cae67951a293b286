"""What the supervisor says and writes down, on a disk that may be full.

It holds everything, so no write of its own may end it: what a disk does not take is kept and
written when there is room again.
"""

import os
import time
from collections import deque
from collections.abc import Callable

_MOST_KEPT = 200
"""Sentences that wait for room; older ones are lost."""


class OwnLog:
    """Sentences with their times, to a file that is open for appending."""

    def __init__(self, descriptor: int) -> None:
        """Write to this descriptor; nothing waits yet."""
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque(maxlen=_MOST_KEPT)

    def say(self, sentence: str) -> None:
        """Write a sentence, or keep it for later."""
        self._waiting.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n".encode())
        self.write_waiting()

    def write_waiting(self) -> None:
        """Write what waits, as far as it is taken."""
        while self._waiting:
            line = self._waiting[0]
            try:
                written = os.write(self._descriptor, line)
            except OSError:
                return
            if written < len(line):
                self._waiting[0] = line[written:]
            else:
                self._waiting.popleft()


class PatientWriter:
    """Something that is written again and again until the disk takes it."""

    def __init__(self, what: str, log: OwnLog) -> None:
        """Name it `what` in the log, which hears of the first failure and of the end of it."""
        self._what = what
        self._log = log
        self.is_due = False

    def write(self, write: Callable[[], None]) -> None:
        """Write now; where that fails it is due."""
        try:
            write()
        except OSError as error:
            if not self.is_due:
                self._log.say(f"{self._what} cannot be written, tried again: {error.strerror}")
            self.is_due = True
            return
        if self.is_due:
            self._log.say(f"{self._what} is written again")
        self.is_due = False
