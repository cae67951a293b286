"""What the doctor says of the lake: table, contract and archive."""

from collections.abc import Iterator
from dataclasses import dataclass

from include.cli.doctor.findings import Finding
from include.cli.doctor.registry_findings import ModelsState
from include.context.step_context import StepContext
from include.spec import contract as contracts
from include.steps.archived_files import ArchivedFiles
from include.steps.lost_batches import few_digests, lost_digests
from include.store.units import GIB

_MOST_BYTES = 2 * GIB
"""Archived files are read and compared with their digests up to this many bytes in total."""


@dataclass(frozen=True)
class TableState:
    """The identity of the lake's table, and its newest version; None before the first commit."""

    version: int | None
    identity: str


def of_lake(context: StepContext) -> Iterator[Finding]:
    """Yield what is wrong with the table, the contract and the archive."""
    repair, recover = context.lake.repair, f"./ratchet recover {context.spec.name} --yes"
    broken = repair.log_problem()
    if broken is not None:
        yield Finding(broken[1])
        return
    older = context.lake.format_problem()
    if older:
        yield Finding(older)
    damaged = repair.damaged_files()
    for path, batches in damaged.items():
        which = few_digests(batches) or "unknown"
        yield Finding(
            f"the data file {context.lake.url}/rows/{path} is gone or was changed; its rows came "
            f"in batch {which}: put it back, or take its rows in again: {recover}"
        )
    missing = lost_digests(context) | (set() if damaged else repair.short())
    if missing:
        yield Finding(
            f"the table {context.lake.url}/rows lacks rows of {len(missing)} batches that were "
            f"ingested before, {few_digests(missing)}: {recover}"
        )
    yield from _contract(context)
    yield from _archive(context)
    dataset = context.lake.dataset()
    yield Finding(f"table: {dataset or 'no row has ever been committed'}", is_fault=False)


def table_state(context: StepContext) -> TableState:
    """Return which table the lake has, and its newest version."""
    return TableState(context.lake.version(), context.lake.identity())


def _contract(context: StepContext) -> Iterator[Finding]:
    agreed = context.lake.contract()
    if agreed is None:
        return
    for line in contracts.differences(agreed, context.spec):
        yield Finding(
            f"spec and contract differ: {line}. Put the spec back, or change the contract: "
            f"./ratchet contract {context.spec.name} --change REASON"
        )


def _archive(context: StepContext) -> Iterator[Finding]:
    """Compare archive and quarantine with the batches of the table."""
    batches, files = context.lake.repair.batches(), ArchivedFiles(context)
    archived = context.landing.archived_digests()
    gone = batches - set(archived)
    if gone:
        yield Finding(
            f"{len(gone)} batches of the table have no file in the archive, {few_digests(gone)}: "
            "were the table lost, nothing would bring their rows back; back up the table"
        )
    read = 0
    for digest in archived:
        if read <= _MOST_BYTES:
            read += files.size(digest)
            if files.problem(digest):
                yield Finding(f"{files.problem(digest)}, so that the table can be made again")
    if read > _MOST_BYTES:
        yield Finding("archive: not all files were read, they are too many bytes", is_fault=False)
    refused = {
        digest for digest in context.landing.quarantined_digests() if _is_refused(context, digest)
    }
    for digest in sorted(refused & batches):
        yield Finding(
            f"batch {digest} is in the table and, refused whole, in quarantine: the next run that "
            "meets its file again puts that right: ./ratchet replay "
            f"{context.spec.name} {digest[:12]}"
        )


def _is_refused(context: StepContext, digest: str) -> bool:
    return context.landing.read_quarantine(digest).name is not None


def of_data(context: StepContext, models: ModelsState, table: TableState) -> Iterator[Finding]:
    """Compare the data versions that models name with the versions of the table."""
    champion, newest = models.champion, table.version
    if champion is not None and champion.table and champion.table != table.identity:
        yield Finding(
            f"{context.spec.model} version {champion.version}, the champion, was fitted on another "
            f"table than {context.lake.url}/rows: nothing proves that it saw no holdout row, so "
            "force the next promotion once"
        )
        return
    beyond = sorted(one for one in models.data_versions if newest is None or one > newest)
    if beyond:
        yield Finding(
            f"models of {context.spec.model} were fitted on data versions "
            f"{', '.join(map(str, beyond))}, which the table does not have: bring its newest "
            f"batches back: ./ratchet recover {context.spec.name}"
        )
    elif champion is not None and context.lake.lacks_files(champion.data_version):
        yield Finding(
            f"{context.spec.model} version {champion.version}, the champion, was fitted on data "
            f"version {champion.data_version}, whose data files are gone, as after a vacuum by "
            "another tool: nothing proves that it saw no holdout row. Put them back from a backup, "
            "or force the next promotion once"
        )
