"""One inference, however it came in: held model, decoded request, scored rows.

REST and gRPC both go through here, so what guards one guards the other.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.bundle import Manifest
from serving.models.batcher import Batcher
from serving.models.holder import Held, Holder
from serving.protocol.answers import Request

_LARGE_BYTES = 2**18
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

    def __init__(self, holder: Holder, batcher: Batcher) -> None:
        """Take the models and what scores their rows."""
        self.holder = holder
        self._batcher = batcher

    def take(self, name: str, version: str | None) -> Held:
        """Return what answers a request that comes now; raises RequestRefusedError."""
        return self.holder.take(name, version)

    async def infer(self, held: Held, decode: Decode, size: int) -> Answer:
        """Score the rows of a request of so many bytes with the model that it took when it came.

        Raises RequestRefusedError with a status and a sentence.
        """
        manifest = held.bundle.manifest
        # A large body takes long enough to hold up whoever sends a small one meanwhile.
        request = (
            decode(manifest) if size < _LARGE_BYTES else await asyncio.to_thread(decode, manifest)
        )
        probability = await self._batcher.predict(held, request.matrix)
        return Answer(held, request, probability)
