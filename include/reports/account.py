"""What a run leaves behind, from which it is told, and a sentence for each of its deliveries."""

from dataclasses import dataclass

from include.records.data import Batch, Fate
from include.records.judging import Decision
from include.records.models import Served
from include.records.moves import Move


@dataclass(frozen=True)
class Failure:
    """A task of a run that failed."""

    task: str
    reason: str
    """Empty when its process ended without a word, as one that was killed does."""


@dataclass(frozen=True)
class Account:
    """What the tasks of a run left behind, as far as it came."""

    batches: tuple[Batch, ...] | None = None
    """None while the run had not looked into the landing place to its end."""
    is_settled: bool = False
    """Whether what is new of them has been committed."""
    skipped_because: str = ""
    decision: Decision | None = None
    move: Move | None = None
    """What a person moved by a run of `roll_back`."""
    served: Served | None = None
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    """What its tasks logged as warnings, in the order of the tasks."""
    stopped_as: str = ""
    """The state that a person gave the run before it was over; empty when nobody did."""


@dataclass(frozen=True)
class Told:
    """A run in whole sentences, the first of which is its verdict."""

    sentences: tuple[str, ...]


def told(batch: Batch, *, settled: bool = True) -> str:
    """Return what became of a delivery; `settled` once its new rows have been committed."""
    if batch.fate is not Fate.GOES_ON:
        return as_sentence(f"{batch.name}: {batch.note}")
    counts = [f"{batch.read:,} rows in"]
    if settled:
        counts += [
            f"{batch.new:,} new",
            f"{batch.duplicates:,} duplicate",
            f"{batch.conflicts:,} in conflict",
        ]
    counts.append(f"{batch.refused - batch.conflicts:,} refused")
    open_end = "" if settled else "; its new rows are not committed yet"
    return as_sentence(f"{batch.name}: {', '.join(counts)}{open_end}")


def as_sentence(clauses: str) -> str:
    """Return clauses with the full stop that they lack."""
    text = clauses.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
