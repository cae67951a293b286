"""Scores waiting requests in batches, in a thread when that takes long.

No request waits for a timer. When its model is idle, a request is scored at once, together with
those that the event loop has read in the same turn. Requests that arrive while the model is busy
are scored together after that. So the batch size follows the load, and a single request does not
wait for company.

Guarantees that each request gets the scores of its own rows from the version it was given, that one
which cannot be scored fails alone, and that one whose caller is gone or whose time is up is not
scored at all.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from serving.models.holder import LoadedVersion
from serving.models.scoring import UnscorableError, score
from serving.refusals import RequestRefusedError

Matrix = NDArray[np.float32]
Probabilities = NDArray[np.float64]

_ON_THE_LOOP_SECONDS = 0.002
"""Longest time of a batch on the event loop itself; slower ones are run in a thread."""
_ALONE_ROWS = 64
"""A request with more rows is scored alone: it gains nothing from a batch and delays others."""
_NEWEST = 0.1  # weight of the newest timing
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class BatchLimits:
    """Limits for the size of a batch and for the requests that wait."""

    batch_size: Callable[[str], int] = lambda _name: 64
    """Most requests that are scored together, by the model's name."""
    batch_rows: int = 4096
    """Most rows that are scored together."""
    queue: int = 1024
    """Most requests that may wait, over all models."""
    deadline_seconds: float = 5.0
    """Longest time from a request's arrival to its answer."""


@dataclass(eq=False)
class _Waiting:
    matrix: Matrix
    answer: "asyncio.Future[Probabilities]"
    queued: bool = True


@dataclass
class _Lane:
    """The requests that wait for one model version, and how long its batches take."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    called: bool = False
    """Whether the queue will be looked at in this turn of the event loop."""
    running: int = 0
    """The number of batches that threads are scoring."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Seconds that a batch took, by the bit length of its number of rows."""

    def is_quick(self, rows: int) -> bool:
        """Return whether so many rows are known to be fast enough for the event loop."""
        return self.seconds.get(rows.bit_length(), 1.0) < _ON_THE_LOOP_SECONDS

    def timed(self, rows: int, seconds: float) -> None:
        """Record how many seconds so many rows took."""
        size = rows.bit_length()
        before = self.seconds.get(size, seconds)
        # A moving mean: one slow batch, as on a busy machine, does not send a size to the threads.
        self.seconds[size] = before + _NEWEST * (seconds - before)

    def may_start(self) -> bool:
        """Return whether a batch may start; beside a running one only a large single request."""
        if not self.waiting or self.running >= _CORES:
            return False
        return self.running == 0 or len(self.waiting[0].matrix) > _ALONE_ROWS


Told = Callable[[LoadedVersion, int, int], None]
"""Called with each batch's version, requests and rows."""


def _tell_nobody(_held: LoadedVersion, _requests: int, _rows: int) -> None:
    pass


class Batcher:
    """A queue for each model version, of which one batch runs at a time."""

    def __init__(self, limits: BatchLimits | None = None, tell: Told = _tell_nobody) -> None:
        """`tell` is called with each batch; threads start with the first batch that needs one."""
        self._limits = limits or BatchLimits()
        self._told = tell
        # A version that nobody holds any more takes its lane with it.
        self._lanes: WeakKeyDictionary[LoadedVersion, _Lane] = WeakKeyDictionary()
        self._waiting = 0
        self._due: deque[tuple[float, asyncio.Future[Probabilities]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._threads = ThreadPoolExecutor(_CORES, thread_name_prefix="predict")

    @property
    def waiting(self) -> int:
        """The number of requests that wait now."""
        return self._waiting

    async def predict(self, held: LoadedVersion, matrix: Matrix) -> Probabilities:
        """Return what the model says of a matrix (n, features), a score or more for each row.

        Raises RequestRefusedError: 400 when the model cannot score these rows (it scored its own
        examples when it was loaded, so the values are the reason), 429 when too many wait, 504 when
        the time is up.
        """
        if self._waiting >= self._limits.queue:
            raise RequestRefusedError(
                429, f"{self._waiting} requests wait already; ask again in a second"
            )
        loop = asyncio.get_running_loop()
        one = _Waiting(matrix, loop.create_future())
        lane = self._queued(held, one, loop)
        self._watch_over(one.answer, loop)
        try:
            return await one.answer
        except UnscorableError as error:
            raise RequestRefusedError(
                400, f"version {held.version} of {held.name} cannot score these rows: {error}"
            ) from error
        finally:
            if one.queued:  # cancelled, or its time was up before its turn came
                self._off_the_queue(one)
                lane.waiting.remove(one)

    def close(self) -> None:
        """Wait for the running batches and end the threads."""
        self._threads.shutdown()

    def _queued(
        self, held: LoadedVersion, waiting: _Waiting, loop: asyncio.AbstractEventLoop
    ) -> _Lane:
        lane = self._lanes.get(held)
        if lane is None:
            lane = self._lanes[held] = _Lane()
        lane.waiting.append(waiting)
        self._waiting += 1
        if not lane.called and lane.may_start():
            lane.called = True
            # Not now: what else the loop has read in this turn comes along.
            loop.call_soon(self._look, held, lane)
        return lane

    def _off_the_queue(self, waiting: _Waiting) -> None:
        waiting.queued = False
        self._waiting -= 1

    def _look(self, held: LoadedVersion, lane: _Lane) -> None:
        """Score waiting requests, batch after batch."""
        lane.called = False
        size = self._limits.batch_size(held.name)
        while lane.may_start():
            batch = self._taken(lane, size)
            if not batch:
                continue
            rows = sum(len(one.matrix) for one in batch)
            self._told(held, len(batch), rows)
            # The way to a thread and back takes longer than a quick batch.
            if lane.is_quick(rows):
                started = time.perf_counter()
                _settle(batch, _scored(held, batch))
                lane.timed(rows, time.perf_counter() - started)
            else:
                self._hand_over(held, lane, batch, rows)

    def _taken(self, lane: _Lane, size: int) -> list[_Waiting]:
        """Take the next batch off the queue, skipping requests whose callers have gone."""
        batch: list[_Waiting] = []
        rows = 0
        while lane.waiting and len(batch) < size:
            more = len(lane.waiting[0].matrix)
            # A large request goes alone: the small ones that went with it would all wait for it.
            if batch and (more > _ALONE_ROWS or rows + more > self._limits.batch_rows):
                break
            one = lane.waiting.popleft()
            self._off_the_queue(one)
            if one.answer.done():
                continue
            batch.append(one)
            rows += more
            if more > _ALONE_ROWS:
                break
        return batch

    def _hand_over(
        self, held: LoadedVersion, lane: _Lane, batch: list[_Waiting], rows: int
    ) -> None:
        lane.running += 1

        def timed() -> tuple[list[Probabilities | Exception], float]:
            started = time.perf_counter()
            return _scored(held, batch), time.perf_counter() - started

        def back(done: "asyncio.Future[tuple[list[Probabilities | Exception], float]]") -> None:
            lane.running -= 1
            results, seconds = done.result()
            lane.timed(rows, seconds)
            _settle(batch, results)
            self._look(held, lane)

        running = asyncio.get_running_loop().run_in_executor(self._threads, timed)
        running.add_done_callback(back)

    def _watch_over(
        self, answer: "asyncio.Future[Probabilities]", loop: asyncio.AbstractEventLoop
    ) -> None:
        """Let a request fail when its time is up; one timer serves all requests."""
        while self._due and self._due[0][1].done():
            self._due.popleft()
        # All have the same patience, so the queue is in the order in which it ends.
        self._due.append((loop.time() + self._limits.deadline_seconds, answer))
        if self._timer is None:
            self._timer = loop.call_at(self._due[0][0], self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        seconds = self._limits.deadline_seconds
        while self._due and (self._due[0][1].done() or self._due[0][0] <= loop.time()):
            _, answer = self._due.popleft()
            if not answer.done():
                answer.set_exception(
                    RequestRefusedError(504, f"no answer within {seconds:g} s: the model is busy")
                )
        due = self._due[0][0] if self._due else None
        self._timer = None if due is None else loop.call_at(due, self._expire, loop)


def _scored(held: LoadedVersion, batch: list[_Waiting]) -> list[Probabilities | Exception]:
    """Return the scores or the error of each request; if scoring together fails, score each."""
    try:
        if len(batch) == 1:
            return [score(held.bundle, batch[0].matrix)]
        together = score(held.bundle, np.concatenate([one.matrix for one in batch]))
    except Exception as error:  # noqa: BLE001 - it belongs to the request, which tells it on
        if len(batch) == 1:
            return [error]
        return [result for one in batch for result in _scored(held, [one])]
    results: list[Probabilities | Exception] = []
    start = 0
    for one in batch:
        end = start + len(one.matrix)
        results.append(together[start:end])
        start = end
    return results


def _settle(batch: list[_Waiting], results: list[Probabilities | Exception]) -> None:
    for one, result in zip(batch, results, strict=True):
        if one.answer.done():  # cancelled, or its time is up
            continue
        if isinstance(result, Exception):
            one.answer.set_exception(result)
        else:
            one.answer.set_result(result)
