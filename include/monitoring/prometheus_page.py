"""Converts readings into Prometheus metric families. Pure: equal readings give an equal page.

A source that was never read has no series except `ratchet_up`. One that is down keeps the series of
its last reading, because being unreadable does not change what it holds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from include.records.judging import Verdict
from include.records.ledger_state import (
    ArtifactsReading,
    LakeReading,
    LandingReading,
    RegistryReading,
    TrainingRun,
    contender_metric,
)
from include.records.moves import Move, MoveKind
from include.records.row_columns import Side

UNDECIDED = "undecided"
_OUTCOMES = (*(str(verdict) for verdict in Verdict), UNDECIDED)
_FATES = ("new", "duplicates", "refused")
_REFUSED = "refused_"


@dataclass(frozen=True)
class SourceState:
    """Whether a source can be read, and when it was read last."""

    source: str
    """`spec`, `landing`, `lake` or `registry`."""
    up: bool
    """Whether the last reading succeeded and is recent."""
    at: float | None
    """Time of the last successful reading in seconds since 1970."""


@dataclass(frozen=True)
class SpecState:
    """The last readings of all sources of one spec."""

    spec: str
    model: str
    """The registered model; empty for a spec that cannot be read."""
    seen: tuple[SourceState, ...]
    landing: LandingReading | None = None
    lake: LakeReading | None = None
    registry: RegistryReading | None = None
    artifacts: ArtifactsReading | None = None
    artifacts_read: float | None = None
    """Time of the last complete reading of the artifact files in seconds since 1970."""
    is_paused: bool | None = None
    """Whether the spec's Dag is paused; None when Airflow does not tell."""


def page(states: Sequence[SpecState]) -> Iterator[Metric]:
    """Yield every metric family, also those without samples: a scrape shows their name and help."""
    yield from _sources(states)
    yield from _switches(states)
    yield from _landing([(one.spec, one.landing) for one in states if one.landing])
    yield from _lake([(one.spec, one.lake) for one in states if one.lake])
    yield from _runs([(one.spec, one.registry.runs) for one in states if one.registry])
    yield from _decisions([(one.spec, one.registry) for one in states if one.registry])
    yield from _champions([(one, one.registry) for one in states if one.registry])
    yield from _artifacts([(one, one.artifacts) for one in states if one.artifacts])
    yield from _arrivals([(one.spec, one.registry) for one in states if one.registry])


def _sources(states: Sequence[SpecState]) -> Iterator[Metric]:
    up = _gauge("ratchet_up", "Whether a source was read at the last look.", "source")
    at = _gauge("ratchet_read_timestamp_seconds", "When a source was last read.", "source")
    for state in states:
        for seen in state.seen:
            up.add_metric((state.spec, seen.source), seen.up)
            _add(at, (state.spec, seen.source), seen.at)
    yield from (up, at)


def _switches(states: Sequence[SpecState]) -> Iterator[Metric]:
    paused = _gauge("ratchet_dag_paused", "Whether the Dag is paused, where Airflow tells.")
    for state in states:
        if state.is_paused is not None:
            paused.add_metric((state.spec,), state.is_paused)
    yield paused


def _landing(readings: Iterable[tuple[str, LandingReading]]) -> Iterator[Metric]:
    files = _gauge(
        "ratchet_landing_files",
        "Files in the landing place: waiting, or claimed by a run that has not archived them.",
        "state",
    )
    oldest = _gauge(
        "ratchet_landing_oldest_timestamp_seconds",
        "When the file that waits longest was written; no sample while none waits.",
    )
    kept = _gauge(
        "ratchet_quarantine_batches",
        "Batches that wait in quarantine to be mended: whole (file), or some rows of them (rows).",
        "kind",
    )
    size = _gauge("ratchet_quarantine_bytes", "Bytes in quarantine.")
    for spec, one in readings:
        files.add_metric((spec, "waiting"), one.waiting)
        files.add_metric((spec, "claimed"), one.claimed)
        _add(oldest, (spec,), one.oldest)
        kept.add_metric((spec, "file"), one.refused_files)
        kept.add_metric((spec, "rows"), one.refused_rows)
        size.add_metric((spec,), one.quarantine_bytes)
    yield from (files, oldest, kept, size)


def _lake(readings: Iterable[tuple[str, LakeReading]]) -> Iterator[Metric]:
    rows = _gauge("ratchet_lake_rows", "Rows of the newest version.", "side", "label")
    version = _gauge("ratchet_lake_version", "The newest version of the table: the data version.")
    batches = _counter("ratchet_lake_batches", "Batches that were committed.")
    last = _gauge("ratchet_lake_last_commit_timestamp_seconds", "When the last batch was.")
    for spec, one in readings:
        batches.add_metric((spec,), one.batches)
        _add(last, (spec,), one.committed)
        if one.dataset is None:
            continue
        version.add_metric((spec,), one.dataset.version)
        for side, counts in ((Side.TRAIN, one.dataset.train), (Side.HOLDOUT, one.dataset.holdout)):
            for label, count in counts.items():
                rows.add_metric((spec, side, label), count)
    yield from (rows, version, batches, last)


def _runs(ledgers: Iterable[tuple[str, tuple[TrainingRun, ...]]]) -> Iterator[Metric]:
    runs = _gauge("ratchet_runs", "Training runs in the ledger by how they ended.", "outcome")
    streak = _gauge(
        "ratchet_run_streak", "Newest runs in a row that ended so, the newest included.", "outcome"
    )
    started = _gauge("ratchet_last_run_timestamp_seconds", "When the newest run was opened.")
    took = _gauge(
        "ratchet_last_decided_run_seconds", "From opening the newest decided run to its decision."
    )
    taken = _counter(
        "ratchet_intake_rows", "Rows that training runs took in, by what became of them.", "fate"
    )
    refused = _counter("ratchet_intake_refused_rows", "Refused ones of these by reason.", "reason")
    for spec, ledger in ledgers:
        outcomes = [run.verdict or UNDECIDED for run in ledger]
        newest = outcomes[0] if outcomes else ""
        in_a_row = next((len(list(same)) for _, same in groupby(outcomes)), 0)
        for outcome in _OUTCOMES:
            runs.add_metric((spec, outcome), outcomes.count(outcome))
            streak.add_metric((spec, outcome), in_a_row if outcome == newest else 0)
        _add(started, (spec,), ledger[0].started if ledger else None)
        decided = _newest_decision(ledger)
        if decided and decided.ended:
            took.add_metric((spec,), decided.ended - decided.started)
        totals = _totals(ledger)
        for fate in _FATES:
            taken.add_metric((spec, fate), totals[f"batch_{fate}"])
        for name, count in sorted(totals.items()):
            if name.startswith(_REFUSED):
                refused.add_metric((spec, name.removeprefix(_REFUSED)), count)
    yield from (runs, streak, started, took, taken, refused)


def _decisions(ledgers: Iterable[tuple[str, RegistryReading]]) -> Iterator[Metric]:
    at = _gauge("ratchet_last_decision_timestamp_seconds", "When a run last reached a decision.")
    scores = _gauge(
        "ratchet_decision_score",
        "Both by the metric of the gate, on the same holdout at the last decision.",
        "contender",
        "metric",
    )
    looks = _gauge(
        "ratchet_decision_looks", "Earlier challengers that the holdout of that had judged."
    )
    for spec, one in ledgers:
        decided = _newest_decision(one.runs)
        if decided is None:
            continue
        _add(at, (spec,), decided.ended)
        _add(looks, (spec,), decided.metrics.get("looks"))
        for contender in ("challenger", "champion"):
            value = decided.metrics.get(contender_metric(contender, one.metric))
            _add(scores, (spec, contender, one.metric), value)
    yield from (at, scores, looks)


def _champions(ledgers: Iterable[tuple[SpecState, RegistryReading]]) -> Iterator[Metric]:
    info = _gauge("ratchet_champion_info", "1 for the champion's version.", "model", "version")
    number = _gauge("ratchet_champion_version", "The number of that version.", "model")
    moves = _counter("ratchet_champion_moves", "Moves of the champion by kind.", "model", "kind")
    last = _gauge("ratchet_champion_last_move_timestamp_seconds", "When it last moved.", "model")
    for state, one in ledgers:
        labels = (state.spec, state.model)
        if one.champion is not None:
            info.add_metric((*labels, one.champion), 1)
            number.add_metric(labels, float(one.champion))
        kinds = Counter(move.kind for move in one.moves)
        for kind in MoveKind:  # zeros too: from nothing to 1 is no increase to Prometheus
            moves.add_metric((*labels, str(kind)), kinds[kind])
        _add(last, labels, _moment(one.moves[-1]) if one.moves else None)
    yield from (info, number, moves, last)


def _artifacts(readings: Iterable[tuple[SpecState, ArtifactsReading]]) -> Iterator[Metric]:
    intact = _gauge(
        "ratchet_artifact_intact",
        "Whether the files of a version that an alias names are those that were registered.",
        "model",
        "version",
    )
    read = _gauge(
        "ratchet_artifacts_read_timestamp_seconds", "When they were last all read.", "model"
    )
    for state, one in readings:
        for artifact in one.artifacts:
            intact.add_metric((state.spec, state.model, artifact.version), not artifact.problem)
        _add(read, (state.spec, state.model), state.artifacts_read)
    yield from (intact, read)


def _arrivals(ledgers: Iterable[tuple[str, RegistryReading]]) -> Iterator[Metric]:
    scores = _gauge(
        "ratchet_arrival_score",
        "The champion by the metric of the gate, on the newest batch when it came.",
        "metric",
    )
    rows = _gauge("ratchet_arrival_rows", "Rows of that batch.")
    at = _gauge("ratchet_arrival_timestamp_seconds", "When that was scored.")
    for spec, one in ledgers:
        if one.arrival is not None:
            scores.add_metric((spec, one.metric), one.arrival.value)
            rows.add_metric((spec,), one.arrival.rows)
            at.add_metric((spec,), one.arrival.at)
    yield from (scores, rows, at)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=("spec", *labels))


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=("spec", *labels))


def _add(family: GaugeMetricFamily, labels: Sequence[str], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)


def _newest_decision(ledger: Sequence[TrainingRun]) -> TrainingRun | None:
    decided = [run for run in ledger if run.verdict]
    return max(decided, key=lambda run: run.ended or run.started, default=None)


def _totals(ledger: Iterable[TrainingRun]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for run in ledger:
        for name, value in run.metrics.items():
            if name.startswith(("batch_", _REFUSED)):
                totals[name] += int(value)
    return totals


def _moment(move: Move) -> float:
    return datetime.fromisoformat(move.at).timestamp()
