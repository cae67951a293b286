"""Builds the account of a run, from which its report is written, out of the tasks' XComs.

The task `report` reads the XComs from the execution API, the plugin that writes the note reads them
from the database; their names are defined here for both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.records.data import Batch, Intake
from include.records.judging import Decision
from include.records.models import ServedVersion
from include.records.moves import Move
from include.reports.account import Account, Failure

WORDS = "words"
"""XCom key under which a task stores its warnings, and why it was skipped or failed."""
SKIPPED_BECAUSE, FAILED_BECAUSE, WARNINGS = "skipped_because", "failed_because", "warnings"
"""The keys of these words."""
REPORT, INGEST = "report", "data.ingest"
DEDUP, SPLIT = "data.dedup", "data.split"
_REFUSALS = "data.refusals"
RESULTS = (INGEST, DEDUP, SPLIT, "promote", "serve", "move")
"""Tasks whose results are part of the account."""


@dataclass
class Traces:
    """The XComs and states of the tasks of a run."""

    results: dict[str, Any] = field(default_factory=dict)
    """The JSON results of the tasks in `RESULTS` that have one."""
    words: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Stored words by task, in the order of the flow; a mapped task has several."""
    failed: list[str] = field(default_factory=list)
    """Tasks that failed themselves, not because of a task before them."""


def account(traces: Traces, stopped_as: str = "") -> Account:
    """Return the account of a run; `stopped_as` is the state that a person has set, or empty."""
    results = {name: value for name, value in traces.results.items() if value is not None}
    skipped = [one for one in _said(traces.words, SKIPPED_BECAUSE) if one]
    return Account(
        batches=_batches(results),
        is_settled=SPLIT in results,
        skipped_because=skipped[0] if skipped else "",
        decision=_record(Decision, results.get("promote")),
        move=_record(Move, results.get("move")),
        served=_record(ServedVersion, results.get("serve")),
        failures=tuple(_failures(traces)),
        warnings=warnings(traces.words),
        stopped_as=stopped_as,
    )


def warnings(words: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    """Return the warnings of all tasks, in their order."""
    return tuple(warning for listed in _said(words, WARNINGS) for warning in listed)


def _batches(results: Mapping[str, Any]) -> tuple[Batch, ...] | None:
    """Return the batches from the result of the last task that has them; None without any."""
    if SPLIT in results:
        taken_in: Intake = _record(Intake, results[SPLIT])
        return taken_in.batches
    listed = results.get(DEDUP, results.get(INGEST))
    batches: tuple[Batch, ...] | None = _record(tuple[Batch, ...], listed)
    return batches


def _failures(traces: Traces) -> Iterable[Failure]:
    for task in dict.fromkeys(traces.failed):
        if task == _REFUSALS:  # it fails to be seen; the deliveries are told by themselves
            continue
        reasons = dict.fromkeys(_said({task: traces.words.get(task, [])}, FAILED_BECAUSE))
        yield Failure(task.rpartition(".")[2], "; ".join(reasons))


def _said(words: Mapping[str, Sequence[Mapping[str, Any]]], kind: str) -> list[Any]:
    return [one[kind] for listed in words.values() for one in listed if one.get(kind)]


def _record(kind: Any, value: Any) -> Any:
    from include.records.packing import unpack

    return None if value is None else unpack(kind, value)
