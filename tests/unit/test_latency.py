import time
from typing import Any

import numpy as np

from include.scoring import TIMED_ROWS, WARM_UPS, latency_ms
from serving.bundle import Bundle, Layout, Manifest

MANIFEST = Manifest("pulsar-model", "slow", Layout(("a", "b")), 0.5, ("0", "1"), 3)


class Slow:
    """A model that takes 40 ms for each of its first rows and 2 ms from then on."""

    def __init__(self) -> None:
        """Start cold."""
        self.seen: list[tuple[int, ...]] = []

    def predict_proba(self, X: np.ndarray) -> np.ndarray[Any, Any]:
        """Return even odds, in its own time."""
        self.seen.append(X.shape)
        time.sleep(0.04 if len(self.seen) <= WARM_UPS else 0.002)
        return np.full((len(X), 2), 0.5)


def test_the_latency_is_that_of_one_row_when_the_model_is_warm() -> None:
    """One row at a time, the first ones not counted; a holdout may have fewer rows than that."""
    model = Slow()
    assert 2 <= latency_ms(Bundle(MANIFEST, model), np.zeros((4, 2), np.float32)) < 40
    assert model.seen == [(1, 2)] * (WARM_UPS + TIMED_ROWS)
