"""`python -m include.monitoring.exporter`: both ledgers as a page for Prometheus.

Each source of each spec is looked at on a thread of its own, again some seconds after the last look
has ended; a scrape is answered from what was seen last and waits for nobody. A source that is away
is `ratchet_up` 0, whether it refuses, answers nonsense or does not answer at all. Nothing is
written anywhere, so accounts that may only read are enough, and there is nothing to keep.
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
from include.adapters.registry import Artifacts, RegistryWatch, ask_once
from include.context.intake_context import intake_context
from include.context.places import said_by_a_library
from include.errors import RatchetError, reason_of
from include.monitoring import prometheus_page
from include.monitoring.prometheus_page import LookedAt, State
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
"""Between two looks at a source."""
_ANSWER_SECONDS = 10
STALE_SECONDS = 3 * PAUSE_SECONDS
"""A source that has not been read for so long is away, whatever the look that hangs may say."""

ARTIFACTS_SECONDS = 120.0
"""Between two readings of the files that the registry keeps of the versions that aliases name."""
ARTIFACTS_SHARE = 0.05
"""Of the time, at most, that reading them takes: large ones are read less often."""
ALTERED = (
    "%s version %s in MLflow is not what was registered: %s. docs/runbook.md#artifactchanged says "
    "what to do"
)

R = TypeVar("R")


class Watch(Generic[R]):
    """One source, and what was seen of it last."""

    def __init__(
        self, spec: str, source: str, look: Callable[[], R], clock: Callable[[], float] = time.time
    ) -> None:
        """`look` reads the source; whatever it raises counts as being away."""
        self.pause_seconds = PAUSE_SECONDS
        self._title = f"{source} of {spec}"
        self._source = source
        self._look = look
        self._clock = clock
        self._ended = threading.Event()
        self._at: float | None = None
        self._problem = ""
        self.reading: R | None = None

    def start(self) -> "Watch[R]":
        """Look again and again until it is ended, in a thread that dies with the process."""
        threading.Thread(target=self._run, name=self._title, daemon=True).start()
        return self

    def end(self) -> None:
        """Look no more; a look that has begun comes to its own end."""
        self._ended.set()

    def look(self) -> None:
        """Look once; the log has a line when a source goes away and when it is back."""
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
        self._problem, self._at = "", self._clock()

    def seen(self) -> LookedAt:
        """Say how the source is."""
        fresh = self._at is not None and self._clock() - self._at < STALE_SECONDS
        return LookedAt(self._source, fresh and not self._problem, self._at)

    def read_at(self) -> float | None:
        """Return when a look last went well, in seconds since 1970."""
        return self._at

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(self.pause_seconds)


def _sentence(error: Exception) -> str:
    """Return why a look failed: our own sentence, or what can be said of a library's."""
    if isinstance(error, RatchetError):
        return str(error)
    return said_by_a_library(error) or f"{type(error).__name__}: {error}"


class ArtifactWatch(Watch[ArtifactsReading]):
    """The files that the registry keeps: read whole, so seldom, and the more so the larger.

    The log has a line when one is found changed.
    """

    def __init__(
        self,
        spec: Spec,
        look: Callable[[], ArtifactsReading],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """As for any source."""
        super().__init__(spec.name, "artifacts", look, clock)
        self._model = spec.model
        self.pause_seconds = ARTIFACTS_SECONDS

    def look(self) -> None:
        """Look once; note how long that took, and what is news."""
        known = self.reading.artifacts if self.reading else ()
        started = time.monotonic()
        super().look()
        took = time.monotonic() - started
        seldom = max(ARTIFACTS_SECONDS, took * (1 / ARTIFACTS_SHARE - 1))
        self.pause_seconds = seldom if self.seen().up else PAUSE_SECONDS
        for one in self.reading.artifacts if self.reading else ():
            if one.problem and one not in known:
                log.warning(ALTERED, self._model, one.version, one.problem)


@dataclass(frozen=True)
class Watched:
    """One spec, its three sources, and the files of its models."""

    spec: Spec
    landing: Watch[LandingReading]
    lake: Watch[LakeReading]
    registry: Watch[RegistryReading]
    artifacts: ArtifactWatch

    def start(self) -> "Watched":
        """Begin to look at all of them."""
        for watch in (self.landing, self.lake, self.registry, self.artifacts):
            watch.start()
        return self

    def end(self) -> None:
        """Look at none of them any more."""
        for watch in (self.landing, self.lake, self.registry, self.artifacts):
            watch.end()

    def state(self) -> State:
        """Return what is known."""
        watches = (self.landing, self.lake, self.registry)
        return State(
            self.spec.name,
            self.spec.model,
            (LookedAt("spec", up=True, at=None), *(watch.seen() for watch in watches)),
            self.landing.reading,
            self.lake.reading,
            self.registry.reading,
            self.artifacts.reading,
            self.artifacts.read_at(),
        )


def watched(spec: Spec, settings: Settings) -> Watched:
    """Open the doors of a spec, to be looked through."""
    context = intake_context(spec, settings)
    registry = RegistryWatch(settings.registry_url, spec.name, spec.model)
    artifacts = Artifacts(settings.registry_url, spec.name, spec.model)
    return Watched(
        spec,
        Watch(spec.name, "landing", partial(settle_step.look, context)),
        Watch(spec.name, "lake", lakes.LakeWatch(context.lake).look),
        Watch(spec.name, "registry", registry.look),
        ArtifactWatch(spec, artifacts.check),
    )


class Exporter(Collector):
    """Every spec of the folder, as the specs are now."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is looked at before `follow`."""
        self._settings = settings
        self._watched: dict[str, Watched] = {}
        self._broken: tuple[str, ...] = ()

    def follow(self) -> None:
        """Begin to watch specs that are new or changed, and leave those that are gone."""
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
        """Yield the page from what was seen last."""
        broken = [State(name, "", (LookedAt("spec", up=False, at=None),)) for name in self._broken]
        return prometheus_page.page([*(one.state() for one in self._watched.values()), *broken])

    def _opened(self, spec: Spec) -> Watched | None:
        """Begin to watch a spec; None when its places cannot be opened, which harms no other."""
        try:
            return watched(spec, self._settings).start()
        except Exception as error:  # noqa: BLE001 - whatever a place says
            log.warning("%s cannot be watched: %s", spec.name, error)
            return None

    def _kept(self, spec: Spec) -> Watched | None:
        found = self._watched.get(spec.name)
        return found if found and found.spec == spec else None


def main() -> int:
    """Serve the page until SIGTERM or SIGINT; 1 with a sentence when that cannot be."""
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
