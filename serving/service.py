"""One inference, however it came in: held model, decoded request, scored rows.

REST and gRPC both go through here, so what guards one guards the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.bundle import Manifest
from serving.models.holder import Held, Holder
from serving.models.predictor import Predictor
from serving.protocol.codecs import Request

Decode = Callable[[Manifest], Request]
"""Decodes what the caller sent for the model that will answer; raises RequestRefusedError."""


@dataclass(frozen=True)
class Answer:
    """What there is to encode."""

    held: Held
    request: Request
    probability: NDArray[np.float64]
    """Of the positive label, shape (n,)."""


class Service:
    """Answers inference requests with whatever the holder holds."""

    def __init__(self, holder: Holder, predictor: Predictor) -> None:
        """Take the models and what scores their rows."""
        self.holder = holder
        self._predictor = predictor

    async def infer(self, name: str, version: str | None, decode: Decode) -> Answer:
        """Score the rows of a request; raises RequestRefusedError with a status and a sentence."""
        held = self.holder.take(name, version)
        request = decode(held.bundle.manifest)
        probability = await self._predictor.predict(held, request.matrix)
        return Answer(held, request, probability)
