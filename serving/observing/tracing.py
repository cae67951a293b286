"""OpenTelemetry spans of inferences, only when OTEL_EXPORTER_OTLP_ENDPOINT names where they go.

Off, nothing of OpenTelemetry is imported and a span is one shared object that does nothing. On,
the library's own variables count too (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and the rest), and a
thread of the library sends the spans in batches.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, Self

from serving.models.holder import LoadedVersion

_SERVER_ERROR = 500
_EXPORT_SECONDS = 2.0


class Span(Protocol):
    """One inference as it is told to a tracing system."""

    def answered(self, held: LoadedVersion, rows: int) -> None:
        """Note what answered, with status 200."""

    def refused(self, name: str, status: int, sentence: str) -> None:
        """Note why there is no answer."""


class Tracing:
    """Makes spans, or nothing at all."""

    def __init__(self, endpoint: str | None) -> None:
        """Send to the OTLP endpoint, its root without `/v1/traces`; None: make no spans."""
        self._tracer: Any = None
        self._provider: Any = None
        self._extract: Any = None
        if endpoint is not None:
            self._turn_on(endpoint)

    def span(self, headers: Iterable[tuple[bytes, bytes]]) -> AbstractContextManager[Span]:
        """Return the span of the inference whose raw headers these are.

        Its parent is what `traceparent` names (https://www.w3.org/TR/trace-context).
        """
        if self._tracer is None:
            return _OFF
        carried = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in headers
            if name in {b"traceparent", b"tracestate"}
        }
        return _Recording(self._tracer, self._extract(carried))

    def close(self) -> None:
        """Send what is not sent yet, for at most a few seconds."""
        if self._provider is not None:
            self._provider.shutdown()

    def _turn_on(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        url = f"{endpoint.rstrip('/')}/v1/traces"
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "ratchet"}))
        self._provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=url, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("serving")
        self._extract = TraceContextTextMapPropagator().extract


class _Silent:
    """The span while tracing is off."""

    def answered(self, held: LoadedVersion, rows: int) -> None:
        """Do nothing."""

    def refused(self, name: str, status: int, sentence: str) -> None:
        """Do nothing."""


_OFF: AbstractContextManager[Span] = nullcontext(_Silent())


class _Recording:
    """A span of the library, in the domain's words."""

    def __init__(self, tracer: Any, parent: Any) -> None:
        # A refusal is an exception on its way to the caller and no error of the server.
        self._opened = tracer.start_as_current_span(
            "infer", context=parent, record_exception=False, set_status_on_exception=False
        )
        self._span: Any = None

    def __enter__(self) -> Self:
        self._span = self._opened.__enter__()
        return self

    def __exit__(self, *what: object) -> None:
        self._opened.__exit__(*what)

    def answered(self, held: LoadedVersion, rows: int) -> None:
        fields = {"model": held.name, "version": held.version, "rows": rows, "status": 200}
        self._span.set_attributes(fields)

    def refused(self, name: str, status: int, sentence: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attributes({"model": name, "status": status, "reason": sentence})
        if status >= _SERVER_ERROR:
            self._span.set_status(StatusCode.ERROR, sentence)
