"""The MLflow run that stores the log of moves: creates, finds, reads, writes and rebuilds it.

A tag of the registered model names the run. A deleted run is restored, a missing or changed tag is
set again, and a log that was deleted permanently is rebuilt from the aliases and the versions.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.healing import TAKEN, is_deleted
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import KIND, LEDGER, MOVES, NOTE, VERDICT
from include.records.judging import Verdict
from include.records.moves import Move, MoveKind
from serving.bundle.registered import DIGEST_TAG, SPEC_TAG, Role

log = logging.getLogger("ratchet")
PREVIOUS = "previous_champion"
"""The alias of the version before the champion; the server has no use for it."""
_DONE = " done"
_RUN_NAME = "promotions"
_NOTE = (
    "Every move of the champion: a parameter each, numbered. `./ratchet promotions SPEC_TAG` lists "
    "them. Do not delete this run: rolling back and the next promotion read it."
)


@dataclass(frozen=True)
class MoveLog:
    """The log as it was read at one moment."""

    run_id: str
    moves: tuple[Move, ...] = ()
    done: frozenset[str] = frozenset()
    """Names of the entries that the aliases have been moved for."""
    last: int = 0
    """The highest entry number in use."""

    @property
    def newest(self) -> Move | None:
        """The newest move; None before the first."""
        return self.moves[-1] if self.moves else None

    @property
    def champion(self) -> str | None:
        """The champion's version by the newest move; None without a champion."""
        return self.newest.version if self.newest else None

    @property
    def is_followed(self) -> bool:
        """Whether the aliases have been moved for the newest entry."""
        return self.newest is None or entry_name(self.newest) in self.done


class LogRun:
    """Reads and writes the log of moves."""

    def __init__(
        self, connection: Connection, model: RegisteredModel, ledger: SpecExperiment
    ) -> None:
        """`ledger` is the experiment that holds the run, and `model` names it."""
        self._client = connection.client
        self._spec = connection.spec
        self._model = model
        self._ledger = ledger

    def ensure_registered_model(self) -> None:
        """Create the registered model, with the run of its log in the same request.

        Raises TakenError when another tool made it.
        """
        record = self._model.record()
        if record is not None:
            self._model.require_ours(record)
            return
        self._tell_of_others()
        run_id = self._ledger.new_run(_RUN_NAME, {MOVES: self._spec, KIND: LEDGER, NOTE: _NOTE})
        self._client.set_terminated(run_id)
        try:
            tags = {SPEC_TAG: self._spec, MOVES: run_id}
            self._client.create_registered_model(self._model.name, tags=tags)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
            self._client.delete_run(run_id)

    def id(self) -> str:
        """Return the id of the run that holds the log; empty while no model is registered."""
        record = self._model.record()
        return "" if record is None else str(self._run_of(record).info.run_id)

    def read(self, record: Any) -> MoveLog:
        """Return the log of a registered model, whose `record` is MLflow's."""
        run = self._run_of(record)
        params = run.data.params
        return MoveLog(
            run.info.run_id,
            moves_in(params),
            frozenset(one.removesuffix(_DONE) for one in params if one.endswith(_DONE)),
            max((int(name) for name in params if name.isdecimal()), default=0),
        )

    def write(self, run_id: str, move: Move) -> None:
        """Add an entry; MLflow refuses one whose number is taken."""
        # Letters as they are: MLflow counts characters, and six stand for one that is escaped.
        entry = json.dumps(asdict(move), ensure_ascii=False)
        self._client.log_param(run_id, entry_name(move), entry)

    def mark_followed(self, run_id: str, move: Move) -> None:
        """Record that the aliases have been moved for an entry."""
        self._client.log_param(run_id, entry_name(move) + _DONE, "yes")

    def _run_of(self, record: Any) -> Run:
        """Return the run that holds the log, and set the registered model's tag to it."""
        named = self._client.run_or_none(record.tags.get(MOVES, ""))
        if named is not None and self._is_the_log(named):
            lies_there = is_deleted(named.info)
            return self._client.active_run(named.info.run_id) if lies_there else named
        self._model.require_ours(record)
        found = self._lost_log()
        self._model.tag(MOVES, self._remade_log(record) if found is None else found.info.run_id)
        # Of two who do this at once the later one has the last word.
        return self._client.active_run(self._model.record().tags[MOVES])

    def _tell_of_others(self) -> None:
        """Log a warning before a model is created that seems to have existed before."""
        others = self._client.search_registered_models(f"tags.`{SPEC_TAG}` = '{self._spec}'")
        if others:
            log.warning(
                "MLflow has no registered model %s, but %s of the same spec: a new one begins, "
                "without a champion. If that is a wrong name, delete %s and give it its own back",
                self._model.name,
                ", ".join(one.name for one in others),
                self._model.name,
            )

    def _is_the_log(self, run: Run) -> bool:
        """Return whether a run holds a log of moves of this registered model."""
        spec = run.data.tags.get(MOVES)
        return spec is not None and (spec == self._spec or not self._is_of_another(run))

    def _is_of_another(self, run: Run) -> bool:
        found = self._client.search_registered_models(f"tags.`{MOVES}` = '{run.info.run_id}'")
        return any(one.name != self._model.name for one in found)

    def _lost_log(self) -> Run | None:
        """Return the newest run of this spec with a move that is not another model's log."""
        logs = self._ledger.runs(f"tags.`{MOVES}` = '{self._spec}'", ViewType.ALL)
        begun = (run for run in logs if moves_in(run.data.params))
        found = next((run for run in begun if not self._is_of_another(run)), None)
        if found is not None:
            log.warning(
                "registered model %s did not say where its log of moves is: it was found, run %s",
                self._model.name,
                found.info.run_id,
            )
        return found

    def _remade_log(self, record: Any) -> str:
        """Rebuild the log from aliases and versions, as far as they show it; return its run."""
        run_id = self._ledger.new_run(_RUN_NAME, {KIND: LEDGER, NOTE: _NOTE})
        moves = list(self._recovered(record))
        for move in moves:
            self.write(run_id, move)
            if move != moves[-1]:
                self.mark_followed(run_id, move)
        self._client.set_tag(run_id, MOVES, self._spec)  # half made it was no log
        self._client.set_terminated(run_id)
        if moves:
            log.warning(
                "the log of moves of %s was deleted in MLflow for good: it is made anew from what "
                "aliases and versions say, and has version %s as the champion",
                self._model.name,
                moves[-1].version,
            )
        return run_id

    def _recovered(self, record: Any) -> Iterator[Move]:
        ours = {str(one.version): one for one in self._model.versions() if DIGEST_TAG in one.tags}
        promoted = {
            number for number, one in ours.items() if one.tags.get(VERDICT) == Verdict.PROMOTE
        }
        aliases = {alias: str(number) for alias, number in record.aliases.items()}
        line = _line(promoted & ours.keys(), aliases, set(ours))
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        before = None
        for number, version in enumerate(line, start=1):
            yield Move(
                MoveKind.RECOVERED,
                version,
                f"recovered {number}",
                reason="the log of moves was deleted in MLflow",
                number=number,
                before=before,
                at=now,
                made_in=ours[version].run_id or "",
            )
            before = version


def moves_in(params: Mapping[str, str]) -> tuple[Move, ...]:
    """Return the moves in the parameters of the log's run, the oldest first."""
    entries = sorted(name for name in params if name.isdecimal())
    found = (_parsed(params[name]) for name in entries)
    return tuple(move for move in found if move is not None)


def entry_name(move: Move) -> str:
    """Return the parameter name of an entry; names sort in the order of the moves."""
    return f"{move.number:06d}"


def _parsed(entry: str) -> Move | None:
    """Return the move in an entry; None for a value that Ratchet did not write."""
    try:
        fields = json.loads(entry)
        datetime.fromisoformat(fields["at"])
        return Move(**fields | {"kind": MoveKind(fields["kind"])})
    except (KeyError, TypeError, ValueError):
        log.warning("the log of moves has an entry that is none, which is passed over: %s", entry)
        return None


def _line(promoted: set[str], aliases: Mapping[str, str], there: set[str]) -> list[str]:
    """Return past champions in their likely order, the present one last, for a rebuilt log."""
    champion, previous = aliases.get(Role.CHAMPION), aliases.get(PREVIOUS)
    past = promoted | ({previous} & there if previous else set())
    line = sorted(past - {champion}, key=int)
    if champion in there and champion is not None:
        line = sorted({*past, champion}, key=int)
        # A champion with successors was gone back to.
        return line if line[-1] == champion else [*line, champion]
    # Without the alias: who has the other one was followed by the one before it.
    return [*line, line[-2]] if len(line) > 1 and line[-1] == previous else line
