"""Sends copies of the traffic to a shadow version, whose answers are only compared.

Copies wait in a bounded queue for a thread of their own, so that a slow shadow costs a request only
the entry in the queue. When the queue is full, copies are dropped and counted.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Full, Queue

import numpy as np
from numpy.typing import NDArray

from serving.models.holder import LoadedVersion
from serving.observing.metrics import Metrics
from serving.values.units import MIB

LOG = logging.getLogger("serving.shadow")
QUEUE_REQUESTS = 256
QUEUE_BYTES = 64 * MIB
LOG_SECONDS = 60.0
STOP_SECONDS = 2.0

Predict = Callable[[LoadedVersion, NDArray[np.float32]], NDArray[np.float64]]
"""Scores a matrix (n, features) with a version, off the event loop."""


@dataclass(frozen=True)
class Comparison:
    """How a shadow's answers differ from those that were sent."""

    rows: int
    disagreements: int
    """Number of rows with different labels, each by its own version's threshold."""
    total: float
    """Sum of |difference in scores|."""
    largest: float

    @property
    def mean(self) -> float:
        """Mean |difference in scores|."""
        return self.total / self.rows if self.rows else 0.0

    @classmethod
    def none(cls) -> "Comparison":
        """Return the comparison of no rows."""
        return cls(rows=0, disagreements=0, total=0.0, largest=0.0)

    def plus(self, other: "Comparison") -> "Comparison":
        """Return both as one."""
        return Comparison(
            self.rows + other.rows,
            self.disagreements + other.disagreements,
            self.total + other.total,
            max(self.largest, other.largest),
        )


@dataclass(frozen=True)
class _Copy:
    shadow: LoadedVersion
    answering: LoadedVersion
    matrix: NDArray[np.float32]
    scores: NDArray[np.float64]


class Shadow:
    """Takes copies on the event loop's thread, and predicts them on another thread."""

    def __init__(
        self,
        predict: Predict,
        metrics: Metrics,
        log_seconds: float = LOG_SECONDS,
        queue_requests: int = QUEUE_REQUESTS,
    ) -> None:
        """Start the thread with the first copy only; log a summary every `log_seconds`."""
        self._predict = predict
        self._metrics = metrics
        self._log_seconds = log_seconds
        self._queue: Queue[_Copy | None] = Queue(queue_requests)
        self._taken = 0
        self._released = 0
        self._thread: threading.Thread | None = None
        self._seen: dict[tuple[str, str], Comparison] = {}
        self._said = time.monotonic()
        self._is_failing = False

    def copy(
        self,
        shadow: LoadedVersion,
        answering: LoadedVersion,
        matrix: NDArray[np.float32],
        scores: NDArray[np.float64],
    ) -> None:
        """Queue a request for the shadow; `answering` gave the probabilities, (n,). Never waits.

        A shadow with another layout cannot use this matrix: the copy is dropped and counted.
        """
        size = matrix.nbytes
        is_alike = shadow.bundle.manifest.layout == answering.bundle.manifest.layout
        if not is_alike or self._taken - self._released + size > QUEUE_BYTES:
            self._metrics.shadow_dropped(shadow.name)
            return
        try:
            self._queue.put_nowait(_Copy(shadow, answering, matrix, scores))
        except Full:
            self._metrics.shadow_dropped(shadow.name)
            return
        # Two counters, each written by one thread: no lock, and at worst a copy is counted too
        # long.
        self._taken += size
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Discard waiting copies, and let the thread log its summary and end; waits for it 2 s."""
        if self._thread is None:
            return
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put(None)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while (copy := self._queue.get()) is not None:
            self._released += copy.matrix.nbytes
            try:
                self._compare(copy)
            except Exception as error:  # noqa: BLE001 - a model on trial can raise anything
                self._fail(copy.shadow, error)
            if time.monotonic() - self._said >= self._log_seconds:
                self._say()
        self._say()

    def _compare(self, copy: _Copy) -> None:
        found = compare(
            copy.shadow, copy.answering, copy.scores, self._predict(copy.shadow, copy.matrix)
        )
        key = (copy.shadow.name, copy.shadow.version)
        self._seen[key] = self._seen.get(key, Comparison.none()).plus(found)
        self._metrics.shadow_compared(
            copy.shadow, found.rows, found.disagreements, found.total, found.largest
        )

    def _fail(self, shadow: LoadedVersion, error: Exception) -> None:
        self._metrics.shadow_dropped(shadow.name)
        if not self._is_failing:
            LOG.warning("the shadow %s %s cannot predict: %s", shadow.name, shadow.version, error)
        self._is_failing = True

    def _say(self) -> None:
        for (name, version), seen in self._seen.items():
            LOG.info(
                "shadow %s %s: %d rows, %d with another label, mean difference %.6f, largest %.6f",
                name,
                version,
                seen.rows,
                seen.disagreements,
                seen.mean,
                seen.largest,
            )
        self._seen = {}
        self._said = time.monotonic()
        self._is_failing = False


def compare(
    shadow: LoadedVersion,
    answering: LoadedVersion,
    given: NDArray[np.float64],
    answers: NDArray[np.float64],
) -> Comparison:
    """Compare scores that were answered with those of the shadow, row by row."""
    calls = answering.bundle.calls(given) != shadow.bundle.calls(answers)
    differences = np.abs(answers - given)
    return Comparison(
        len(given),
        int(np.count_nonzero(calls)),
        float(differences.sum()),
        float(differences.max(initial=0.0)),
    )
