"""`python -m include.monitoring.exporter`: serves metrics about lake and registry for Prometheus.

A thread for each source of each spec reads the source, pauses for some seconds, and reads it again.
A scrape is answered from the last readings and waits for no source. A source has `ratchet_up` 0
when it refuses, answers nonsense, or does not answer at all. The exporter writes nothing, so
read-only accounts are sufficient, and it may be stopped and started at any time.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from include.adapters import lake as lakes
from include.adapters.dag_switch import DagSwitch
from include.adapters.registry import Artifacts, RegistryWatch, ask_once, connect
from include.context.intake_context import intake_context
from include.context.places import said_by_a_library
from include.errors import RatchetError, reason_of
from include.monitoring import prometheus_page
from include.monitoring.prometheus_page import SourceState, SpecState
from include.records.ledger_state import (
    ArtifactsReading,
    LakeReading,
    LandingReading,
    RegistryReading,
)
from include.settings import Settings, read_settings
from include.spec.model_spec import Spec
from include.spec.spec_files import read_specs
from include.steps import settle as settle_step
from include.text.showable import showable_name

log = logging.getLogger("ratchet")
PAUSE_SECONDS = 20.0
"""Pause between two readings of a source."""
_ANSWER_SECONDS = 10
STALE_SECONDS = 3 * PAUSE_SECONDS
"""A source that has not been read for so long counts as down, even while a reading still runs."""

ARTIFACTS_SECONDS = 120.0
"""Pause between two readings of the artifact files of the versions that have an alias."""
ARTIFACTS_SHARE = 0.05
"""The largest share of the time spent on reading artifacts: large files are read less often."""
ALTERED = (
    "%s version %s in MLflow is not what was registered: %s. docs/runbook.md#artifactchanged says "
    "what to do"
)

R = TypeVar("R")


class Watch(Generic[R]):
    """A thread that reads one source again and again, and the last reading."""

    def __init__(
        self,
        spec: str,
        source: str,
        look: Callable[[], R],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look` reads the source; when it raises anything, the source counts as down.

        `clock` returns seconds and is never set; the time of the day is only shown.
        """
        self.pause_seconds = PAUSE_SECONDS
        self._title = f"{source} of {spec}"
        self._source = source
        self._look = look
        self._clock = clock
        self._ended = threading.Event()
        self._at: float | None = None
        self._read_at: float | None = None
        self._problem = ""
        self.reading: R | None = None

    def start(self) -> "Watch[R]":
        """Read the source repeatedly in a daemon thread until `end`; return this watch."""
        threading.Thread(target=self._run, name=self._title, daemon=True).start()
        return self

    def end(self) -> None:
        """Stop the thread after the reading that is running, without waiting for it."""
        self._ended.set()

    def look(self) -> None:
        """Read the source once; log when it goes down and when it is up again."""
        try:
            self.reading = self._look()
        except Exception as error:  # noqa: BLE001 - whatever keeps a source from being read
            problem = _sentence(error)
            if not self._problem:
                log.warning("the %s cannot be read: %s", self._title, problem)
            self._problem = problem
            return
        if self._problem:
            log.warning("the %s is read again", self._title)
        self._problem, self._at, self._read_at = "", self._clock(), time.time()

    def source_state(self) -> SourceState:
        """Return whether the source is up, and when it was read last."""
        fresh = self._at is not None and self._clock() - self._at < STALE_SECONDS
        return SourceState(self._source, fresh and not self._problem, self._read_at)

    def read_at(self) -> float | None:
        """Return the time of the last successful reading in seconds since 1970; None before."""
        return self._read_at

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(self.pause_seconds)


def _sentence(error: Exception) -> str:
    """Return why a reading failed: our own message, or a short one for an error of a library."""
    if isinstance(error, RatchetError):
        return str(error)
    return said_by_a_library(error) or f"{type(error).__name__}: {error}"


class ArtifactWatch(Watch[ArtifactsReading]):
    """Reads the artifact files of a model whole, with longer pauses the longer that takes.

    Logs when a file is found changed.
    """

    def __init__(
        self,
        spec: Spec,
        look: Callable[[], ArtifactsReading],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look` reads and checks the files of `spec`'s model; `clock` returns seconds."""
        super().__init__(spec.name, "artifacts", look, clock)
        self._model = spec.model
        self.pause_seconds = ARTIFACTS_SECONDS

    def look(self) -> None:
        """Read the files once; log new findings, and derive the next pause from the duration."""
        known = self.reading.artifacts if self.reading else ()
        started = time.monotonic()
        super().look()
        took = time.monotonic() - started
        seldom = max(ARTIFACTS_SECONDS, took * (1 / ARTIFACTS_SHARE - 1))
        self.pause_seconds = seldom if self.source_state().up else PAUSE_SECONDS
        for one in self.reading.artifacts if self.reading else ():
            if one.problem and one not in known:
                log.warning(ALTERED, self._model, one.version, one.problem)


@dataclass(frozen=True)
class SpecWatches:
    """The watches of one spec: landing place, lake, registry, artifact files, switch of the Dag."""

    spec: Spec
    landing: Watch[LandingReading]
    lake: Watch[LakeReading]
    registry: Watch[RegistryReading]
    artifacts: ArtifactWatch
    switch: Watch[bool | None]

    def start(self) -> "SpecWatches":
        """Start all watches; return this object."""
        for watch in (self.landing, self.lake, self.registry, self.artifacts, self.switch):
            watch.start()
        return self

    def end(self) -> None:
        """Stop all watches."""
        for watch in (self.landing, self.lake, self.registry, self.artifacts, self.switch):
            watch.end()

    def state(self) -> SpecState:
        """Return the last readings of all watches."""
        watches = (self.landing, self.lake, self.registry)
        return SpecState(
            self.spec.name,
            self.spec.model,
            (SourceState("spec", up=True, at=None), *(watch.source_state() for watch in watches)),
            self.landing.reading,
            self.lake.reading,
            self.registry.reading,
            self.artifacts.reading,
            self.artifacts.read_at(),
            self.switch.reading,
        )


def spec_watches(spec: Spec, settings: Settings) -> SpecWatches:
    """Return the watches of a spec, not yet started; raises when its adapters cannot be opened."""
    context = intake_context(spec, settings)
    connection = connect(settings.registry_url, spec.name, spec.model)
    return SpecWatches(
        spec,
        Watch(spec.name, "landing", partial(settle_step.look, context)),
        Watch(spec.name, "lake", lakes.LakeWatch(context.lake).look),
        Watch(spec.name, "registry", RegistryWatch(connection, spec.gate.metric).look),
        ArtifactWatch(spec, Artifacts(connection).check),
        Watch(spec.name, "switch", DagSwitch(settings.airflow_url, spec.name).is_paused),
    )


class Exporter(Collector):
    """Collects the metrics of every spec in the folder of specs."""

    def __init__(self, settings: Settings) -> None:
        """Watch nothing until `follow` is called."""
        self._settings = settings
        self._watched: dict[str, SpecWatches] = {}
        self._broken: tuple[str, ...] = ()

    def follow(self) -> None:
        """Read the folder of specs: start watches for new or changed specs, end those of others."""
        specs = read_specs(self._settings.specs)
        sound = {spec.name: spec for spec in specs.values() if isinstance(spec, Spec)}
        for name, one in self._watched.items():
            if sound.get(name) != one.spec:
                one.end()
        opened = {name: self._kept(spec) or self._opened(spec) for name, spec in sound.items()}
        self._watched = {name: one for name, one in opened.items() if one}
        self._broken = tuple(
            showable_name(path.stem) for path in specs if path.stem not in self._watched
        )

    def collect(self) -> Iterator[Metric]:
        """Yield all metric families, from the last readings."""
        broken = [
            SpecState(name, "", (SourceState("spec", up=False, at=None),)) for name in self._broken
        ]
        return prometheus_page.page([*(one.state() for one in self._watched.values()), *broken])

    def _opened(self, spec: Spec) -> SpecWatches | None:
        """Start the watches of a spec; None, after a line in the log, when that fails."""
        try:
            return spec_watches(spec, self._settings).start()
        except Exception as error:  # noqa: BLE001 - whatever a place says
            log.warning("%s cannot be watched: %s", spec.name, error)
            return None

    def _kept(self, spec: Spec) -> SpecWatches | None:
        found = self._watched.get(spec.name)
        return found if found and found.spec == spec else None


def main() -> int:
    """Serve the metrics until SIGTERM or SIGINT; return 1, with a message, when that fails."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    ask_once(_ANSWER_SECONDS)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    registry = CollectorRegistry(auto_describe=False)
    try:
        settings = read_settings()
        exporter = Exporter(settings)
        registry.register(exporter)
        start_http_server(settings.metrics_port, settings.metrics_host, registry)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The exporter cannot start: {reason_of(error)}\n")
        return 1
    while not ended.is_set():
        exporter.follow()
        ended.wait(PAUSE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
