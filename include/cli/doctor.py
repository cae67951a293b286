"""`./ratchet doctor`: compares lake, landing place, registry and endpoint; changes nothing.

Each source is read on a thread of its own, with a time limit. A source that cannot be read is
reported, and the others are checked all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from threading import Thread
from typing import Generic, TypeVar

from include.adapters.dag_switch import DagSwitch
from include.adapters.endpoint import CHAMPION, ReplicaState, WantedVersion
from include.adapters.registry import Artifacts, Connection, RegistryWatch, connect
from include.context import running_stack
from include.context.places import Need, places, system_message
from include.context.step_context import StepContext
from include.errors import RatchetError, UnhealthyError
from include.records.ledger_state import ArtifactsReading, RegistryReading
from include.records.models import ModelVersion
from include.spec import contract as contracts
from include.steps import settle as settle_step
from include.steps.archived_files import ArchivedFiles
from include.steps.lost_batches import few_digests, lost_digests

_LOOKS = 6
"""A source that responds may take this many times the patience to be read."""
_MOST_BYTES = 2**31
"""Archived files are read and compared with their digests up to this many bytes in total."""
R = TypeVar("R")


@dataclass(frozen=True)
class _Line:
    words: str
    is_finding: bool = True


@dataclass(frozen=True)
class _Models:
    """What the registry says about a spec's model."""

    reading: RegistryReading
    champion: ModelVersion | None
    """The version that the newest move names; None, too, when it is deleted."""
    data_versions: frozenset[int]

    @property
    def wanted(self) -> WantedVersion | None:
        """The version and digest that every replica should hold as champion; None without one."""
        if self.champion is None or self.reading.champion != self.champion.version:
            return None
        return WantedVersion(self.champion.version, digest=self.champion.digest)


@dataclass(frozen=True)
class _Table:
    """The identity of the lake's table, and its newest version; None before the first commit."""

    version: int | None
    identity: str


def doctor(context: StepContext) -> Iterator[str]:
    """Yield a sentence for each check, faults with a `!`; UnhealthyError at the end if any."""
    findings = 0
    for line in _looked_at(context):
        findings += line.is_finding
        yield f"{'! ' if line.is_finding else '  '}{line.words}"
    if findings:
        raise UnhealthyError(
            f"{findings} findings about {context.spec.name}, each with a ! before it"
        )


class _Source(Generic[R]):
    """One source that is read on a thread of its own."""

    def __init__(
        self, context: StepContext, name: str, need: Need | None, ask: Callable[[], R]
    ) -> None:
        self._at, self._name, self._need, self._ask = context, name, need, ask
        self._answers: Queue[R | _Line] = Queue()
        Thread(target=lambda: self._answers.put(self._answer()), daemon=True).start()

    def answer(self) -> R | _Line:
        """Return the reading, or a finding when the source could not be read."""
        seconds = _LOOKS * self._at.settings.patience
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return _Line(f"not looked at to the end: the {self._name} took over {seconds:g} s")

    def _answer(self) -> R | _Line:
        needed = places([self._need], self._at.spec, self._at.settings) if self._need else []
        for place in needed:
            problem = place.problem(self._at.settings.patience)
            if problem:
                return _Line(f"not asked, the {self._name}: {place.sentence(problem)}")
        try:
            return self._ask()
        except RatchetError as error:
            return _Line(str(error))
        except Exception as error:  # noqa: BLE001 - whatever keeps a source from being read
            return _Line(f"not looked at to the end, the {self._name}: {system_message(error)}")


def _looked_at(context: StepContext) -> Iterator[_Line]:
    lake = _Source(context, "lake", Need.LAKE, lambda: list(_lake(context)))
    table = _Source(context, "lake's table", Need.LAKE, lambda: _table(context))
    landing = _Source(context, "landing place", Need.LANDING, lambda: list(_landing(context)))
    models = _Source(context, "registry", Need.REGISTRY, lambda: _models(context))
    files = _Source(context, "model files", Need.REGISTRY, lambda: _artifacts(context))
    serving = _Source(context, "endpoint", None, lambda: _standings(context))
    of_lake = _lines(lake.answer())
    yield from of_lake
    yield from _lines(landing.answer())
    said, kept, held, newest = models.answer(), files.answer(), serving.answer(), table.answer()
    yield from [said] if isinstance(said, _Line) else _of_registry(context, said)
    if isinstance(newest, _Line):
        yield from [] if any(line.is_finding for line in of_lake) else [newest]
    elif not isinstance(said, _Line):
        rows = partial(_of_data, context, said, newest)
        data = _Source(context, "champion's rows", Need.LAKE, lambda: list(rows()))
        yield from _lines(data.answer())
    yield from [kept] if isinstance(kept, _Line) else _of_artifacts(context, kept)
    champion = None if isinstance(said, _Line) else said.wanted
    yield from [held] if isinstance(held, _Line) else _of_serving(context, held, champion)


def _lines(answer: list[_Line] | _Line) -> list[_Line]:
    return [answer] if isinstance(answer, _Line) else answer


def _lake(context: StepContext) -> Iterator[_Line]:
    repair, recover = context.lake.repair, f"./ratchet recover {context.spec.name} --yes"
    broken = repair.log_problem()
    if broken is not None:
        yield _Line(broken[1])
        return
    damaged = repair.damaged()
    for path, batches in damaged.items():
        which = few_digests(batches) or "unknown"
        yield _Line(
            f"the data file {context.lake.url}/rows/{path} is gone or was changed; its rows came "
            f"in batch {which}: put it back, or take its rows in again: {recover}"
        )
    missing = lost_digests(context) | (set() if damaged else repair.short())
    if missing:
        yield _Line(
            f"the table {context.lake.url}/rows lacks rows of {len(missing)} batches that were "
            f"ingested before, {few_digests(missing)}: {recover}"
        )
    yield from _contract(context)
    yield from _archive(context)
    dataset = context.lake.dataset()
    yield _Line(f"table: {dataset or 'no row has ever been committed'}", is_finding=False)


def _table(context: StepContext) -> _Table:
    return _Table(context.lake.version(), context.lake.identity())


def _contract(context: StepContext) -> Iterator[_Line]:
    agreed = context.lake.contract()
    if agreed is None:
        return
    for line in contracts.differences(agreed, context.spec):
        yield _Line(
            f"spec and contract differ: {line}. Put the spec back, or change the contract: "
            f"./ratchet contract {context.spec.name} --change REASON"
        )


def _archive(context: StepContext) -> Iterator[_Line]:
    """Compare archive and quarantine with the batches of the table."""
    batches, files = context.lake.repair.batches(), ArchivedFiles(context)
    archived = context.landing.archived_digests()
    gone = batches - set(archived)
    if gone:
        yield _Line(
            f"{len(gone)} batches of the table have no file in the archive, {few_digests(gone)}: "
            "were the table lost, nothing would bring their rows back; back up the table"
        )
    read = 0
    for digest in archived:
        if read <= _MOST_BYTES:
            read += files.size(digest)
            if files.problem(digest):
                yield _Line(f"{files.problem(digest)}, so that the table can be made again")
    if read > _MOST_BYTES:
        yield _Line("archive: not all files were read, they are too many bytes", is_finding=False)
    refused = {digest for digest in context.landing.quarantined() if _is_refused(context, digest)}
    for digest in sorted(refused & batches):
        yield _Line(
            f"batch {digest} is in the table and, refused whole, in quarantine: the next run that "
            "meets its file again puts that right: ./ratchet replay "
            f"{context.spec.name} {digest[:12]}"
        )


def _is_refused(context: StepContext, digest: str) -> bool:
    return context.landing.read_quarantine(digest).name is not None


def _landing(context: StepContext) -> Iterator[_Line]:
    for one in context.landing.left_alone():
        yield _Line(f"left alone in {context.landing.url}, {one.name}: {one.why}")
    seen = settle_step.look(context)
    yield _Line(
        f"landing place: {seen.waiting} files wait, {seen.claimed} are claimed by a run; in "
        f"quarantine {seen.refused_files} whole files and rows of {seen.refused_rows} batches "
        f"(./ratchet quarantine {context.spec.name})",
        is_finding=False,
    )
    yield from _switch(context, seen.waiting + seen.claimed)


def _switch(context: StepContext, waiting: int) -> Iterator[_Line]:
    """Tell of a paused Dag; it is wrong only where files wait for it."""
    is_paused = DagSwitch(context.settings.airflow_url, context.spec.name).is_paused()
    if is_paused:
        yield _Line(
            f"the Dag {context.spec.name} is paused in Airflow, and {waiting} files wait for it: "
            f"switch it on, beside its title at {context.settings.airflow_url}/dags/"
            f"{context.spec.name}",
            is_finding=waiting > 0,
        )
    elif is_paused is None:
        yield _Line(
            f"Airflow at {context.settings.airflow_url} does not say whether the Dag is paused",
            is_finding=False,
        )


def _models(context: StepContext) -> _Models:
    context.registry.ownership.require_owner()
    reading = RegistryWatch(_connection(context)).look()
    newest = reading.moves[-1].version if reading.moves else reading.champion
    champion = None if newest is None else context.registry.versions.numbered(newest)
    return _Models(reading, champion, frozenset(context.registry.versions.data_versions()))


def _artifacts(context: StepContext) -> ArtifactsReading:
    return Artifacts(_connection(context)).check()


def _connection(context: StepContext) -> Connection:
    return connect(context.settings.registry_url, context.spec.name, context.spec.model)


def _of_registry(context: StepContext, models: _Models) -> Iterator[_Line]:
    reading, settle = models.reading, f"./ratchet promotions {context.spec.name}"
    newest = reading.moves[-1].version if reading.moves else None
    if reading.champion is not None and not reading.moves:
        yield _Line(
            f"{context.spec.model} has a champion, version {reading.champion}, and no log of "
            f"moves: the next run makes one, or say {settle} now"
        )
    elif newest != reading.champion:
        yield _Line(
            f"the alias champion of {context.spec.model} names version {reading.champion or 'none'}"
            f", the log of moves says {newest or 'none'}: the next run settles it, or {settle} now"
        )
    if newest is not None and models.champion is None:
        yield _Line(
            f"{context.spec.model} version {newest}, the champion by the log of moves, is deleted "
            f"in MLflow: the next run goes back along the log, or {settle} now"
        )
    yield _Line(
        f"registry: champion {reading.champion or 'none'}, {len(reading.moves)} moves, "
        f"{len(reading.runs)} runs",
        is_finding=False,
    )


def _of_data(context: StepContext, models: _Models, table: _Table) -> Iterator[_Line]:
    """Compare the data versions that models name with the versions of the table."""
    champion, newest = models.champion, table.version
    if champion is not None and champion.table and champion.table != table.identity:
        yield _Line(
            f"{context.spec.model} version {champion.version}, the champion, was fitted on another "
            f"table than {context.lake.url}/rows: nothing proves that it saw no holdout row, so "
            "force the next promotion once"
        )
        return
    beyond = sorted(one for one in models.data_versions if newest is None or one > newest)
    if beyond:
        yield _Line(
            f"models of {context.spec.model} were fitted on data versions "
            f"{', '.join(map(str, beyond))}, which the table does not have: bring its newest "
            f"batches back: ./ratchet recover {context.spec.name}"
        )
    elif champion is not None and context.lake.lacks_files(champion.data_version):
        yield _Line(
            f"{context.spec.model} version {champion.version}, the champion, was fitted on data "
            f"version {champion.data_version}, whose data files are gone, as after a vacuum by "
            "another tool: nothing proves that it saw no holdout row. Put them back from a backup, "
            "or force the next promotion once"
        )


def _of_artifacts(context: StepContext, files: ArtifactsReading) -> Iterator[_Line]:
    for one in files.artifacts:
        if one.problem:
            yield _Line(
                f"{context.spec.model} version {one.version} {one.problem}: restore the file from "
                f"a backup, or go back: ./ratchet roll-back {context.spec.name} --reason R"
            )
    sound = sum(not one.problem for one in files.artifacts)
    yield _Line(f"model files: {sound} versions are as registered", is_finding=False)


def _standings(context: StepContext) -> dict[str, ReplicaState]:
    return {one.url: one.state() for one in context.endpoint.replicas()}


def _way_out(context: StepContext) -> str:
    """Return what a person can do about an endpoint that does not respond."""
    if not running_stack.stack_runs(context.settings.home):
        return "Start it: make up"
    log = context.settings.home / "logs" / "serving.log"
    return f"The stack is up: `make status` shows it, {log} says more"


def _of_serving(
    context: StepContext, standings: dict[str, ReplicaState], champion: WantedVersion | None
) -> Iterator[_Line]:
    for url, one in standings.items():
        held = one.versions.get(CHAMPION)
        if one.problem:
            yield _Line(f"not asked, the endpoint {url}: {one.problem}. {_way_out(context)}")
        for role, no in one.refused.items():
            yield _Line(
                f"{url} refuses version {no.version} of {context.spec.model} as {role}: {no.reason}"
            )
        if not one.problem and champion is not None and not one.holds(champion):
            yield _Line(
                f"{url} serves version {held or 'none'} of {context.spec.model}"
                f"{' of another registration' * (held == champion.version)}, the registry names "
                f"{champion.version}: look at its /v2/health/ready and its log"
            )
        yield _Line(f"endpoint {url}: champion {held or 'none'}", is_finding=False)
