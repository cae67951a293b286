"""Groups keys, metrics, logs, traces and the shadow of a server, built from its settings."""

import asyncio
import threading
import time
from dataclasses import dataclass

from serving.bundle.registered import Role
from serving.configuration.settings import Settings
from serving.models.holder import LoadedVersion, Refusal
from serving.observing.board import PUBLISH_SECONDS, WorkerFigures
from serving.observing.metrics import Metrics
from serving.observing.request_log import RequestLog
from serving.observing.tracing import Tracing
from serving.traffic.keys import Keys
from serving.traffic.shadow import Predict, Shadow

CLOSE_SECONDS = 3.0


@dataclass(frozen=True)
class Guard:
    """The API keys, the metrics, and the places that copies of the traffic go to."""

    keys: Keys
    metrics: Metrics
    tracing: Tracing
    shadow: Shadow
    request_log: RequestLog | None
    """None when requests are not logged."""
    board: WorkerFigures | None
    """The readiness of the other workers; None when there are none."""

    def given(self, held: LoadedVersion, role: Role) -> None:
        """Count a version that took a role."""
        self.metrics.swapped(held.name, role.value)

    def refused(self, name: str, refusal: Refusal) -> None:
        """Count a version that was refused."""
        self.metrics.version_refused(name, refusal.kind)

    def loaded(self, versions: list[tuple[str, str, str]]) -> None:
        """Show the metrics of these (name, version, role) from now on; those of others end."""
        self.metrics.holds(versions)

    async def publish(self) -> None:
        """Publish this worker's metrics until cancelled; return at once without other workers."""
        while self.board is not None:
            self.metrics.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    def close(self) -> None:
        """Write waiting data and end the threads; call it when no request is in flight.

        All are closed in parallel and within a few seconds: a bucket or a collector that does not
        respond must not keep the process alive.
        """
        ends = [self.shadow.close, self.tracing.close]
        if self.request_log is not None:
            ends.append(self.request_log.close)
        threads = [threading.Thread(target=end, daemon=True) for end in ends]
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def make_guard(settings: Settings, predict: Predict) -> Guard:
    """Return the guard of a server with these settings; ValueError with a sentence if invalid.

    `predict` scores a matrix with a version; it is called on the shadow's own thread.
    """
    metrics = Metrics(_board(settings, "metrics"))
    log = settings.request_log
    return Guard(
        keys=Keys(settings.api_key, settings.api_keys_file),
        metrics=metrics,
        tracing=Tracing(settings.otlp_endpoint),
        shadow=Shadow(predict, metrics),
        request_log=None if log is None else RequestLog(log, metrics),
        board=_board(settings, "readiness"),
    )


def _board(settings: Settings, what: str) -> WorkerFigures | None:
    if settings.worker is None:
        return None
    # No model's folder: a name's dots are written otherwise on the shelf.
    return WorkerFigures(settings.home / ".workers" / what, settings.worker)
