"""Spans as a collector receives them, over HTTP."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from serving.models.holder import LoadedVersion
from serving.observing.tracing import Tracing
from serving.refusals import RequestRefusedError
from tests.serving.collector import Collector, collecting
from tests.serving.conftest import Open

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Return a collector that runs."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with collecting() as made:
        yield made


def test_an_inference_is_one_span_below_its_caller(collector: Collector, open_bundle: Open) -> None:
    """It says what answered and continues the trace that `traceparent` names."""
    tracing = Tracing(collector.url)
    traceparent = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
    with tracing.span([(b"host", b"x"), traceparent]) as span:
        span.answered(LoadedVersion("boxes", "3", open_bundle()), rows=7)
    tracing.close()
    (sent,) = collector.spans()
    assert collector.received[0][0] == "/v1/traces"
    assert (sent.name, sent.trace_id.hex(), sent.parent_span_id.hex()) == ("infer", TRACE, PARENT)
    assert _attributes(sent) == {"model": "boxes", "version": "3", "rows": 7, "status": 200}


def test_a_refusal_is_no_error_and_a_failure_is(collector: Collector) -> None:
    """A caller's mistake must not ring the operator's bell."""
    tracing = Tracing(collector.url)
    with suppress(RequestRefusedError), tracing.span([]) as span:
        span.refused("boxes", 422, "too few columns")
        raise RequestRefusedError(422, "too few columns")
    with tracing.span([]) as span:
        span.refused("boxes", 500, "it broke")
    tracing.close()
    refused, failed = collector.spans()
    assert _attributes(refused) == {"model": "boxes", "status": 422, "reason": "too few columns"}
    assert (refused.status.code, failed.status.code) == (0, 2)


def test_off_nothing_is_imported() -> None:
    """Without an endpoint a server does not even load the library."""
    code = (
        "import sys; from serving.observing.tracing import Tracing\n"
        "with Tracing(None).span([]) as span: span.refused('boxes', 400, 'no')\n"
        "print(sum(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def _attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
