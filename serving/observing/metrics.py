"""The server's metrics, and the page that Prometheus reads.

Counting is a few additions to plain numbers under a lock, one or two microseconds for a request.
Nothing is registered globally, so several applications in one process do not share numbers.
prometheus-client writes the page. Its multi-process mode is not used, because an environment
variable chooses it at import, for the whole process, and it never drops the series of a version.

With several workers each publishes its numbers on a board, and whichever worker is scraped shows
all of them, each with a label `worker`. A restarted worker is then a counter that starts again,
which `rate` handles, while a sum over workers would jump. Sum over `worker` in the query.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from serving.bundle.registered import Role
from serving.models.holder import LoadedVersion
from serving.observing.board import WorkerFigures

_MODEL = ("model", "version")
_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ratchet_requests": (
        "Requests by class of status, 2xx to 5xx; no model where it was none that is held.",
        ("model", "status"),
    ),
    "ratchet_answers": ("Answered requests by the role of what answered.", ("model", "role")),
    "ratchet_rows": ("Rows answered.", _MODEL),
    "ratchet_swaps": ("Versions that took a role.", ("model", "role")),
    "ratchet_refusals": ("Versions that were not taken, by kind of reason.", ("model", "reason")),
    "ratchet_shadow_rows": ("Rows that a shadow predicted too.", _MODEL),
    "ratchet_shadow_disagreements": ("Rows with another label than the answer's.", _MODEL),
    "ratchet_shadow_difference": ("Sum of |difference in probability| of those rows.", _MODEL),
    "ratchet_shadow_dropped": ("Requests that a shadow did not get.", ("model",)),
    "ratchet_request_log_rows": ("Rows of the request log, written or dropped.", ("outcome",)),
}
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ratchet_model_info": ("1 for each version that is loaded.", (*_MODEL, "role")),
    "ratchet_queue_depth": ("Requests that wait to be predicted.", ()),
    "ratchet_registry_reachable": ("Whether the registry answered when it was asked last.", ()),
    "ratchet_shadow_difference_max": ("Largest |difference in probability| seen.", _MODEL),
}
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_ROWS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0)
_HISTOGRAMS: dict[str, tuple[str, tuple[float, ...]]] = {
    "ratchet_request_seconds": ("Seconds from a request's head to its answer.", _SECONDS),
    "ratchet_batch_requests": ("Requests that were predicted together.", _SIZES),
    "ratchet_batch_rows": ("Rows that were predicted together.", _ROWS),
}

Labels = tuple[str, ...]
Numbers = dict[str, dict[Labels, float]]


@dataclass
class _Tally:
    """The numbers of one version: rows, and for each histogram the buckets followed by the sum."""

    rows: int = 0
    seconds: list[float] = field(default_factory=lambda: _empty(_SECONDS))
    requests: list[float] = field(default_factory=lambda: _empty(_SIZES))
    batch_rows: list[float] = field(default_factory=lambda: _empty(_ROWS))

    def histograms(self) -> dict[str, list[float]]:
        return dict(zip(_HISTOGRAMS, (self.seconds, self.requests, self.batch_rows), strict=True))


class Metrics:
    """The metrics of one server process. Every method may be called from any thread."""

    def __init__(self, board: WorkerFigures | None = None) -> None:
        """Start at zero; `board` has the numbers of the other workers, None without any."""
        self._board = board
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._counters: Numbers = {name: {} for name in _COUNTERS}
        self._gauges: Numbers = {name: {} for name in _GAUGES}
        self._requests = self._counters["ratchet_requests"]
        self._answers = self._counters["ratchet_answers"]
        self._names: frozenset[str] = frozenset()

    def answered(
        self, held: LoadedVersion, seconds: float, rows: int, role: str = Role.CHAMPION
    ) -> None:
        """Count a request that was answered with predictions after `seconds`."""
        name = held.name
        with self._lock:
            tally = self._tally(name, held.version)
            tally.rows += rows
            seen = tally.seconds
            seen[bisect_left(_SECONDS, seconds)] += 1
            seen[-1] += seconds
            key = (name, "2xx")
            self._requests[key] = self._requests.get(key, 0) + 1
            key = (name, role)
            self._answers[key] = self._answers.get(key, 0) + 1

    def refused(self, name: str, status: int) -> None:
        """Count a request that was answered with an error status, 400 to 599.

        An unknown model is counted without its name, so that callers cannot create new series.
        """
        known = name if name in self._names else ""
        self._add("ratchet_requests", (known, f"{status // 100}xx"))

    def batch(self, held: LoadedVersion, requests: int, rows: int) -> None:
        """Count one call of a model with the rows of one or more requests."""
        with self._lock:
            tally = self._tally(held.name, held.version)
            tally.requests[bisect_left(_SIZES, requests)] += 1
            tally.requests[-1] += requests
            tally.batch_rows[bisect_left(_ROWS, rows)] += 1
            tally.batch_rows[-1] += rows

    def queue_depth(self, requests: int) -> None:
        """Record how many requests wait."""
        self._gauges["ratchet_queue_depth"][()] = requests

    def registry_reachable(self, *, reachable: bool) -> None:
        """Record whether the last poll of the registry succeeded."""
        self._gauges["ratchet_registry_reachable"][()] = int(reachable)

    def swapped(self, name: str, role: str) -> None:
        """Count a version that took a role."""
        self._add("ratchet_swaps", (name, role))

    def version_refused(self, name: str, reason: str) -> None:
        """Count a version that was not taken, by the kind of its refusal."""
        self._add("ratchet_refusals", (name, reason))

    def holds(self, loaded: Iterable[tuple[str, str, str]]) -> None:
        """Record every loaded (model, version, role); series of all other versions end."""
        with self._lock:
            info: dict[Labels, float] = dict.fromkeys(loaded, 1.0)
            versions = {labels[:2] for labels in info}
            self._names = frozenset(labels[0] for labels in info)
            self._gauges["ratchet_model_info"] = info
            self._tallies = {key: one for key, one in self._tallies.items() if key in versions}
            for numbers in self._by_version():
                for labels in [one for one in numbers if one not in versions]:
                    del numbers[labels]

    def shadow_compared(
        self, held: LoadedVersion, rows: int, disagreements: int, total: float, largest: float
    ) -> None:
        """Count rows that a shadow predicted.

        `total` is the sum of the absolute differences in probability, `largest` the maximum.
        """
        key = (held.name, held.version)
        self._add("ratchet_shadow_rows", key, rows)
        self._add("ratchet_shadow_disagreements", key, disagreements)
        self._add("ratchet_shadow_difference", key, total)
        with self._lock:
            seen = self._gauges["ratchet_shadow_difference_max"]
            seen[key] = max(seen.get(key, 0.0), largest)

    def shadow_dropped(self, name: str) -> None:
        """Count a request that a shadow skipped because it was behind, or could not predict."""
        self._add("ratchet_shadow_dropped", (name,))

    def log_written(self, rows: int) -> None:
        """Count rows of the request log that were written."""
        self._add("ratchet_request_log_rows", ("written",), rows)

    def log_dropped(self, rows: int) -> None:
        """Count rows of the request log that were lost."""
        self._add("ratchet_request_log_rows", ("dropped",), rows)

    def publish(self) -> None:
        """Publish the numbers for other workers; to be called each second when there are any."""
        if self._board is not None:
            self._board.publish(self._snapshot())

    def exposition(self) -> tuple[bytes, str]:
        """Return the page of all workers and its content type."""
        registry = CollectorRegistry(auto_describe=False)
        if self._board is None:
            registry.register(_Page([("", self._snapshot())]))
        else:
            # What this page shows may not be more than what another worker's shows next.
            self.publish()
            shown = [(self._board.number, self._snapshot())]
            shown += [(number, one) for number, one in self._board.others()]
            registry.register(_Page([(str(number), one) for number, one in sorted(shown)]))
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _add(self, name: str, labels: Labels, amount: float = 1) -> None:
        with self._lock:
            numbers = self._counters[name]
            numbers[labels] = numbers.get(labels, 0) + amount

    def _tally(self, name: str, version: str) -> _Tally:
        key = (name, version)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally()
        return tally

    def _by_version(self) -> Iterator[dict[Labels, float]]:
        for kinds, numbers in ((_COUNTERS, self._counters), (_GAUGES, self._gauges)):
            yield from (numbers[name] for name, (_, labels) in kinds.items() if labels == _MODEL)

    def _snapshot(self) -> dict[str, Any]:
        """Return all numbers as JSON can hold them: name to a list of (labels, number or list)."""
        with self._lock:
            flat = {
                name: list(one.items()) for name, one in (self._counters | self._gauges).items()
            }
            flat["ratchet_rows"] = [(key, float(one.rows)) for key, one in self._tallies.items()]
            seen: dict[str, list[tuple[Labels, list[float]]]] = {name: [] for name in _HISTOGRAMS}
            for key, tally in self._tallies.items():
                for name, buckets in tally.histograms().items():
                    seen[name].append((key, list(buckets)))
        return flat | seen


class _Page(Collector):
    """Snapshots as prometheus-client's families."""

    def __init__(self, snapshots: list[tuple[str, Mapping[str, Any]]]) -> None:
        self._snapshots = snapshots
        self._more = ("worker",) if len(snapshots) > 1 or snapshots[0][0] else ()

    def collect(self) -> Iterator[Metric]:
        for name, (text, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=(*labels, *self._more))
            for at, number in self._samples(name):
                counter.add_metric(at, number)
            yield counter
        for name, (text, labels) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=(*labels, *self._more))
            for at, number in self._samples(name):
                gauge.add_metric(at, number)
            yield gauge
        for name, (text, bounds) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=(*_MODEL, *self._more))
            for at, numbers in self._samples(name):
                family.add_metric(at, _cumulated(bounds, numbers), numbers[-1])
            yield family

    def _samples(self, name: str) -> Iterator[tuple[tuple[str, ...], Any]]:
        for worker, snapshot in self._snapshots:
            for labels, number in snapshot.get(name, ()):
                yield (*labels, worker)[: len(labels) + len(self._more)], number


def _empty(bounds: tuple[float, ...]) -> list[float]:
    return [0.0] * (len(bounds) + 2)


def _cumulated(bounds: tuple[float, ...], numbers: list[float]) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus counts them: each with all that is below its bound."""
    names = [*map(str, bounds), "+Inf"]
    total, found = 0.0, []
    for name, number in zip(names, numbers, strict=False):
        total += number
        found.append((name, total))
    return found
