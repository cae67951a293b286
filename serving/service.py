"""One inference over REST or gRPC: chooses the version, scores the rows, records the result.

Both protocols go through here, so that limits and records are the same for both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Manifest
from serving.bundle.registered import Role
from serving.models.batcher import Batcher
from serving.models.holder import Holder, LoadedVersion
from serving.observing.logs import log_failed, log_refused
from serving.observing.request_log import AskedRows
from serving.protocol.answers import DecodedRequest
from serving.refusals import RequestRefusedError
from serving.traffic.canary import goes_to_canary
from serving.traffic.guard import Guard
from serving.values.units import KIB

FAILED = "the server failed on this request; its log has the traceback"
LARGE_BYTES = 256 * KIB
"""What is larger is worked on in a thread: it would hold up whoever sends a small request."""
Headers = Sequence[tuple[bytes, bytes]]
Decode = Callable[[Manifest], DecodedRequest]
"""Decodes what the caller sent for the model that will answer; raises RequestRefusedError."""
Read = Callable[[], Awaitable[tuple[Decode, int]]]
"""Reads what the caller sent: how to decode it, and how many bytes it is."""


@dataclass(frozen=True)
class RequestHead:
    """A request before its body is read."""

    name: str
    version: str | None
    """The requested version number; None for the champion."""
    headers: Headers
    """Headers in the form of ASGI: names in lower case."""
    request_id: str


@dataclass(frozen=True)
class Answer:
    """The result of an inference, to be encoded."""

    held: LoadedVersion
    request: DecodedRequest
    scores: NDArray[np.float64]
    """Probability of the positive label, shape (n,)."""


@dataclass(frozen=True)
class _Taken:
    """The versions that a request uses, fixed when it arrives."""

    held: LoadedVersion
    role: Role
    canary: LoadedVersion | None
    shadow: LoadedVersion | None


class Service:
    """Answers inference requests with the models of a holder."""

    def __init__(
        self, holder: Holder, batcher: Batcher, guard: Guard, canary_share: float = 0.0
    ) -> None:
        """`canary_share`, from 0 to 1, is the share of the champion's requests for a canary."""
        self.holder = holder
        self._batcher = batcher
        self._guard = guard
        self._canary_share = canary_share

    async def answer(self, request: RequestHead, read: Read) -> Answer:
        """Answer a request, and record the outcome in metrics, log and traces.

        Raises RequestRefusedError with a status and a sentence, 500 for a failure of the server.
        """
        started = perf_counter()
        guard = self._guard
        with guard.tracing.span(request.headers) as span:
            try:
                guard.keys.require(request.headers)
                answer, role = await self._infer(request, read)
            except RequestRefusedError as refused:
                span.refused(request.name, refused.status, str(refused))
                self.note_refused(request.name, request.request_id, refused)
                raise
            except Exception as error:
                guard.metrics.refused(request.name, 500)
                span.refused(request.name, 500, FAILED)
                log_failed(request.request_id, request.name, request.version, error)
                raise RequestRefusedError(500, FAILED) from error
            rows = len(answer.scores)
            guard.metrics.answered(answer.held, perf_counter() - started, rows, role.value)
            span.answered(answer.held, rows)
        return answer

    def note_refused(self, name: str, request_id: str, refused: RequestRefusedError) -> None:
        """Count and log a refused request, also one whose model was not known yet."""
        self._guard.metrics.refused(name, refused.status)
        log_refused(request_id, name, refused.status, str(refused))

    async def _infer(self, call: RequestHead, read: Read) -> tuple[Answer, Role]:
        taken = self._take(call)
        decode, size = await read()
        request = await _decoded(decode, size, taken.held)
        held, role = taken.held, taken.role
        named = request.id or call.request_id
        if taken.canary is not None and goes_to_canary(named, self._canary_share):
            held, role = taken.canary, Role.CANARY
            if held.bundle.manifest.layout != taken.held.bundle.manifest.layout:
                request = await _decoded(decode, size, held)
        scores = await self._batcher.predict(held, request.matrix)
        self._copy(taken.shadow, held, request, scores)
        if self._guard.request_log is not None:
            asked = AskedRows(request.matrix, request.row_ids)
            self._guard.request_log.note(held, named, asked, scores, role.value)
        return Answer(held, request, scores), role

    def _take(self, request: RequestHead) -> _Taken:
        held = self.holder.take(request.name, request.version)
        lineup = self.holder.lineup(request.name)
        if request.version is None:
            return _Taken(held, Role.CHAMPION, lineup.canary, lineup.shadow)
        role = next((role for role, one in lineup.roles().items() if one is held), Role.CHAMPION)
        return _Taken(held, role, None, None)

    def _copy(
        self,
        shadow: LoadedVersion | None,
        held: LoadedVersion,
        request: DecodedRequest,
        scores: NDArray[np.float64],
    ) -> None:
        if shadow is not None and shadow is not held:
            self._guard.shadow.copy(shadow, held, request.matrix, scores)


async def _decoded(decode: Decode, size: int, held: LoadedVersion) -> DecodedRequest:
    if size > LARGE_BYTES:
        return await asyncio.to_thread(decode, held.bundle.manifest)
    return decode(held.bundle.manifest)
