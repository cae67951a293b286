"""Sentences for the calls of Triton and MLServer that this server does not have.

Their clients have a method for each of them; a plain "not found" would look like a wrong address.
"""

_CONFIG = "there is no model configuration here; GET /v2/models/MODEL says what a model takes"
_STATISTICS = "there are no inference statistics here; /metrics counts by model and version"
_STREAM = "requests are not answered as a stream; send each to the infer call"
_TEXT = "models here generate no text; send rows or tensors to the infer call"
_TRACE = "tracing is set where the server is started, by OTEL_EXPORTER_OTLP_ENDPOINT"
_LOG = "what is logged is set where the server is started, by SERVING_LOG and SERVING_DEBUG"
NO_SHARED_MEMORY = "the server shares no memory with its callers; send and receive tensors as data"

CALLS = {
    "ModelConfig": _CONFIG,
    "ModelStatistics": _STATISTICS,
    "ModelStreamInfer": _STREAM,
    "TraceSetting": _TRACE,
    "LogSettings": _LOG,
    **{
        f"{kind}SharedMemory{deed}": NO_SHARED_MEMORY
        for kind in ("System", "Cuda")
        for deed in ("Status", "Register", "Unregister")
    },
}
"""By the name of the gRPC call."""

ROUTES = {
    "/v2/trace/setting": _TRACE,
    "/v2/logging": _LOG,
    "/v2/systemsharedmemory/{rest:path}": NO_SHARED_MEMORY,
    "/v2/cudasharedmemory/{rest:path}": NO_SHARED_MEMORY,
}
"""By the path."""

ROUTES_OF_MODELS = {
    "/config": _CONFIG,
    "/stats": _STATISTICS,
    "/trace/setting": _TRACE,
    "/infer_stream": _STREAM,
    "/generate": _TEXT,
    "/generate_stream": _TEXT,
}
"""By what follows the path of a model or of a version."""
