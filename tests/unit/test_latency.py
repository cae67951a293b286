import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from include.steps.score import TIMED_ROWS, WARM_UPS, latency_ms
from serving.bundle import Bundle, Layout, Manifest

MANIFEST = Manifest("pulsar-model", "slow", Layout(("a", "b")), 0.5, ("0", "1"), 3)
X = np.zeros((4, 2), np.float32)
Work = Callable[[float], None]


def computing(seconds: float) -> None:
    """Keep a core busy for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def waiting(seconds: float) -> None:
    """Take no time of the processor, as on a host whose cores others have."""
    time.sleep(seconds)


class Slow(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """A model that takes 40 ms for each of its first rows and 2 ms from then on."""

    def __init__(self, work: Work = computing, warm: float = 0.002, n_jobs: int = 8) -> None:
        """Start cold."""
        self.work, self.warm, self.n_jobs = work, warm, n_jobs
        self.seen: list[tuple[int, ...]] = []

    def predict_proba(self, X: np.ndarray) -> np.ndarray[Any, Any]:
        """Return even odds, in its own time."""
        self.seen.append(X.shape)
        self.work(0.04 if len(self.seen) <= WARM_UPS else self.warm)
        return np.full((len(X), 2), 0.5)


def test_the_latency_is_that_of_one_row_when_the_model_is_warm() -> None:
    """One row at a time, the first ones not counted; a holdout may have fewer rows than that."""
    model = Slow()
    assert 1.9 <= latency_ms(Bundle(MANIFEST, model), X) < 40
    assert model.seen == [(1, 2)] * (WARM_UPS + TIMED_ROWS)


def test_a_busy_host_makes_no_model_slow() -> None:
    """The time in which a model waits for a core that others have is none of its own."""
    assert latency_ms(Bundle(MANIFEST, Slow(waiting, warm=0.02)), X) < 5


@pytest.fixture
def busy_beside() -> Any:
    """Keep another thread of this process busy."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            np.sort(np.random.default_rng(0).random(50_000))

    thread = threading.Thread(target=spin)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("busy_beside")
def test_a_busy_thread_beside_it_makes_no_model_slower_than_its_wall_time() -> None:
    """The clock of the process counts that thread too; the clock on the wall does not."""
    began = time.perf_counter()
    latency = latency_ms(Bundle(MANIFEST, Slow(waiting, warm=0.005)), X)
    assert latency <= 1000 * (time.perf_counter() - began) / TIMED_ROWS


def test_a_model_is_measured_on_one_thread_as_it_is_served() -> None:
    """Whatever it was fitted with."""
    model = Slow(warm=0.0)
    latency_ms(Bundle(MANIFEST, model), X)
    assert model.n_jobs == 1
