"""Brings back what the table has lost, for the command `./ratchet recover`.

When killed: each repair is complete or was not made, and the command continues where it stopped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from include.context.intake_context import IntakeContext
from include.steps.archived_files import ArchivedFiles
from include.steps.lost_batches import few_digests, lost_digests

_MOST_PROBLEMS = 100


def recover(context: IntakeContext, *, yes: bool, give_up: bool = False) -> Iterator[str]:
    """Repair the table and yield a sentence for each step; without `yes` nothing is changed.

    A log that cannot be relied on is taken back to its last good version. Damaged data files are
    removed from the table. The archived files of the batches that it then lacks are copied to the
    landing place, where the next run ingests them. Nothing is removed whose batch has no file in
    the archive, unless `give_up` is set.
    """
    recovery = _Recovery(context, yes, give_up)
    steps = 0
    for sentence in recovery.steps():
        yield sentence
        steps += 1
    if not steps:
        yield "the table lacks nothing that was ingested"
    elif not yes:
        yield f"nothing was changed yet: ./ratchet recover {context.spec.name} --yes does it"


@dataclass
class _Recovery:
    context: IntakeContext
    yes: bool
    give_up: bool
    again: set[str] = field(default_factory=set)
    """Batches of removed data files; they are ingested again, as are those missing from the log."""

    def __post_init__(self) -> None:
        self._files = ArchivedFiles(self.context)

    def steps(self) -> Iterator[str]:
        for _ in range(_MOST_PROBLEMS):  # one may hide another
            log_problem = self.context.lake.repair.log_problem()
            if log_problem is None:
                break
            problem, sentence = log_problem
            gone = self._cannot_come(self.context.lake.repair.batches_from(problem.version))
            yield sentence
            if gone and not self.give_up:
                yield _kept("the log as it is", gone)
                return
            if not self.yes:
                return
            yield self.context.lake.repair.mend(problem)
        yield from self._take_out_damaged()
        yield from self._land()

    def _take_out_damaged(self) -> Iterator[str]:
        for path, batches in self.context.lake.repair.damaged_files().items():
            gone = self._cannot_come(batches)
            what = f"the data file {path}, which is gone or was changed"
            if (gone or not batches) and not self.give_up:
                yield _kept(what, gone)
                continue
            self.again |= batches
            yield f"{'taken' if self.yes else 'to be taken'} out of the table: {what}"
            if self.yes:
                self.context.lake.repair.take_out([path])

    def _land(self) -> Iterator[str]:
        verb = "brought" if self.yes else "to be brought"
        # A batch of a data file that stays has its rows there, as far as anybody knows.
        short = (
            set() if self.context.lake.repair.damaged_files() else self.context.lake.repair.short()
        )
        for digest in sorted(lost_digests(self.context) | self.again | short):
            problem = self._files.problem(digest)
            yield problem or f"{verb} to {self.context.landing.url}: {self._files.name(digest)}"
            if self.yes and not problem:
                self._files.land(digest)

    def _cannot_come(self, batches: Iterable[str]) -> list[str]:
        return [digest for digest in sorted(batches) if self._files.problem(digest)]


def _kept(what: str, gone: list[str]) -> str:
    return (
        f"left alone: {what}, because batch {few_digests(gone) or 'unknown'} cannot come again: "
        "put it back from a backup, or give up its rows with --give-up"
    )
