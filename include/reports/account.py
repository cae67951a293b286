"""What the tasks of a run left behind, and a sentence for each of its deliveries."""

from dataclasses import dataclass

from include.records.data import Batch, Fate
from include.records.judging import Decision
from include.records.models import ServedVersion
from include.records.moves import Move


@dataclass(frozen=True)
class Failure:
    """A failed task of a run."""

    task: str
    reason: str
    """Empty when its process ended without an error, as one that is killed does."""


@dataclass(frozen=True)
class Account:
    """What the tasks of a run left behind, as far as the run came."""

    batches: tuple[Batch, ...] | None = None
    """None until the run has read the landing place to its end."""
    is_settled: bool = False
    """Whether their new rows have been committed."""
    skipped_because: str = ""
    """Why nothing was trained; empty where something was."""
    decision: Decision | None = None
    move: Move | None = None
    """The move that a run of `roll_back` made for a person."""
    served: ServedVersion | None = None
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    """The warnings that its tasks logged, in the order of the tasks."""
    stopped_as: str = ""
    """The state that a person set the run to before it ended; empty when nobody did."""


@dataclass(frozen=True)
class RunSentences:
    """A run in whole sentences; the first one is its verdict."""

    sentences: tuple[str, ...]


def delivery_sentence(batch: Batch, *, settled: bool = True) -> str:
    """Return a sentence on a delivery; `settled` means that its new rows have been committed."""
    if batch.fate is not Fate.GOES_ON:
        return as_sentence(f"{batch.name}: {batch.note}")
    counts = [f"{batch.read:,} rows in"]
    if settled:
        counts += [
            f"{batch.new:,} new",
            f"{batch.duplicates:,} duplicate",
            f"{batch.conflicts:,} in conflict",
        ]
        counts += [f"{batch.corrections:,} corrected"] * bool(batch.corrections)
    counts.append(f"{batch.refused - batch.conflicts:,} refused")
    open_end = "" if settled else "; its new rows are not committed yet"
    return as_sentence(f"{batch.name}: {', '.join(counts)}{open_end}")


def as_sentence(clauses: str) -> str:
    """Return clauses with a full stop at the end, if they have none."""
    text = clauses.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
