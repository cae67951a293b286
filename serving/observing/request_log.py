"""Writes requests and answers to Parquet files, to be joined with labels when those arrive.

Answering a request costs only an entry in a queue: arrays are kept by reference, and a separate
thread writes them. Unwritten entries are bounded in bytes; beyond that, rows are dropped and
counted. An error of the storage is logged once, waiting entries are tried again, and serving goes
on. The last entries are written at shutdown.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.bundle.registered import Role
from serving.configuration.settings import RequestLogSettings
from serving.models.holder import LoadedVersion
from serving.observing.metrics import Metrics
from serving.observing.request_files import LogPlace, file_name, table

LOG = logging.getLogger("serving.request_log")
FILE_ROWS = 100_000
"""A file is written when so many rows wait, or when half of the allowed memory is used."""
STOP_SECONDS = 2.5
_NOTE_BYTES, _TEXT_BYTES = 500, 50


class AskedRows(NamedTuple):
    """The rows of a request."""

    matrix: NDArray[np.float32]
    """Shape (rows, features)."""
    ids: tuple[str | None, ...] | None = None
    """The id of each row; None where no row has one."""

    @property
    def size(self) -> int:
        """The approximate bytes of memory that they take."""
        return self.matrix.nbytes + sum(_TEXT_BYTES + len(one or "") for one in self.ids or ())


class RequestNote(NamedTuple):
    """One answered request."""

    held: LoadedVersion
    request_id: str
    role: str
    """The role of the version that answered: champion, canary or challenger."""
    time: float
    """Seconds since the epoch, UTC."""
    asked: AskedRows
    scores: NDArray[np.float64]
    """Shape (rows,)."""

    @property
    def size(self) -> int:
        """The approximate bytes of memory that this note holds."""
        return self.asked.size + self.scores.nbytes + _NOTE_BYTES


class RequestLog:
    """Takes notes on the event loop's thread, and writes them on another thread."""

    def __init__(
        self,
        settings: RequestLogSettings,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Start the writing thread; `clock` returns seconds since 1970.

        Raises ValueError when the setting of the place is invalid.
        """
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._chance = chance
        self._place = LogPlace(settings.place)
        self._queue: SimpleQueue[RequestNote | None] = SimpleQueue()
        # Two counters with one writer each need no lock; their difference is what is in memory.
        self._taken = 0
        self._released = 0
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._thread.start()

    def note(
        self,
        held: LoadedVersion,
        request_id: str,
        rows: AskedRows,
        scores: NDArray[np.float64],
        role: str = Role.CHAMPION,
    ) -> None:
        """Queue an answer, or drop and count it; never waits. Arrays must not change later."""
        if self._chance() >= self._settings.sample:
            return
        note = RequestNote(held, request_id, role, self._clock(), rows, scores)
        size = note.size
        if self._taken - self._released + size > self._settings.limit_bytes:
            self._metrics.log_dropped(len(scores))
            return
        self._taken += size
        self._queue.put(note)

    def close(self) -> None:
        """Write waiting notes for at most a few seconds, then end; the rest is lost."""
        self._queue.put(None)
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            LOG.warning("%s did not take the last rows in time; they are lost", self._place)

    def _run(self) -> None:
        waiting: list[RequestNote] = []
        is_open = True
        due = time.monotonic() + self._settings.seconds
        while is_open:
            is_open = self._gather(waiting, due)
            waiting = self._write(waiting)
            due = time.monotonic() + self._settings.seconds
        self._lose(waiting)

    def _gather(self, waiting: list[RequestNote], due: float) -> bool:
        """Collect notes until a file is due; False when the log is being closed."""
        rows = sum(len(note.scores) for note in waiting)
        size = sum(note.size for note in waiting)
        while True:
            try:
                note = self._queue.get(timeout=max(0.0, due - time.monotonic()))
            except Empty:
                return True
            if note is None:
                return False
            waiting.append(note)
            rows += len(note.scores)
            size += note.size
            is_enough = rows >= FILE_ROWS or size >= self._settings.limit_bytes // 2
            if is_enough and not self._is_failing:
                return True

    def _write(self, waiting: list[RequestNote]) -> list[RequestNote]:
        """Write a file for each version and day; return the notes that could not be written."""
        groups = groupby(sorted(waiting, key=_file), key=_file)
        files = [list(group) for _, group in groups]
        for place, notes in enumerate(files):
            try:
                self._place.write(file_name(notes), table(notes))
            except OSError as error:
                self._fail(error)
                return [note for group in files[place:] for note in group]
            except Exception:
                # It would fail again: the rows are at fault and not the place.
                LOG.exception("rows of %s cannot be written and are lost", notes[0].held.name)
                self._lose(notes)
            else:
                self._succeed(notes)
        return []

    def _succeed(self, notes: list[RequestNote]) -> None:
        if self._is_failing:
            LOG.info("%s takes the request log again", self._place)
        self._is_failing = False
        self._release(notes)
        self._metrics.log_written(sum(len(note.scores) for note in notes))

    def _fail(self, error: OSError) -> None:
        if not self._is_failing:
            why = " ".join(str(error).split())[:300]
            LOG.warning(
                "%s does not take the request log, rows wait and may be lost: %s", self._place, why
            )
        self._is_failing = True

    def _lose(self, notes: list[RequestNote]) -> None:
        self._release(notes)
        self._metrics.log_dropped(sum(len(note.scores) for note in notes))

    def _release(self, notes: list[RequestNote]) -> None:
        self._released += sum(note.size for note in notes)


def _file(note: RequestNote) -> tuple[str, str, int, int]:
    """Return the key of a note's file: the opened model version, and the day."""
    return note.held.name, note.held.version, id(note.held), int(note.time // 86_400)
