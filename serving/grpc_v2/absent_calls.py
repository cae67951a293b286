"""Calls of Triton's and MLServer's clients that there are not: each ends with a sentence."""

from collections.abc import AsyncIterator

import grpc
from grpc import aio

from serving.protocol.absent import CALLS


def absent_calls() -> dict[str, grpc.RpcMethodHandler]:
    """Return what ends each of them with UNIMPLEMENTED, and reads no message."""
    return {name: _ending(f"{name}: {sentence}") for name, sentence in CALLS.items()}


def _ending(sentence: str) -> grpc.RpcMethodHandler:
    async def end(
        _asked: AsyncIterator[bytes], context: "aio.ServicerContext[bytes, bytes]"
    ) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, sentence)

    # A lone message is a stream of one, so this does for every kind of call.
    handler: grpc.RpcMethodHandler = grpc.stream_stream_rpc_method_handler(end)
    return handler
