"""Scores matrices off the event loop, one at a time.

The seam for batching: whatever replaces `Predictor` keeps `predict`, and each call still gets the
scores of its own rows from the version it was given.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from include.bundle import Bundle
from serving.models.holder import Held
from serving.refusals import RequestRefusedError


class UnscorableError(Exception):
    """The model gave no usable probability for these rows; the message says why."""


class Predictor:
    """One worker thread, so that the event loop stays free and models never share a core."""

    def __init__(self) -> None:
        """Start no thread before the first prediction."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="predict")

    async def predict(self, held: Held, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of the positive label, shape (n,), of a matrix (n, features).

        Raises RequestRefusedError with status 400 when the model cannot score these rows: it scored
        its own examples when it was loaded, so the values are the reason.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._worker, score, held.bundle, matrix)
        except UnscorableError as error:
            raise RequestRefusedError(
                400, f"version {held.version} of {held.name} cannot score these rows: {error}"
            ) from error

    def close(self) -> None:
        """Wait for the running prediction and end the thread."""
        self._worker.shutdown()


def score(bundle: Bundle, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities in [0, 1], shape (n,), or raise UnscorableError."""
    try:
        # Finite values can still overflow inside a model; the check below finds what comes of it.
        with np.errstate(all="ignore"):
            probability = bundle.probability(matrix)
    except (ValueError, ArithmeticError) as error:
        raise UnscorableError(" ".join(str(error).split())[:200]) from error
    if probability.shape != (len(matrix),):
        raise UnscorableError(f"it gave shape {probability.shape} for {len(matrix)} rows")
    usable = (probability >= 0) & (probability <= 1)
    if not usable.all():
        row = int(np.argmin(usable))
        raise UnscorableError(
            f"row {row} has the probability {probability[row]}, so its values lie too far from "
            "what the model was fitted on"
        )
    return probability
