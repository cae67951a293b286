"""The MLflow run that stores the log of moves: finds, reads, writes and rebuilds it.

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

from include.adapters.registry.connection import DIGEST, KIND, LEDGER, MOVES, NOTE, VERDICT
from include.adapters.registry.healing import is_deleted
from include.adapters.registry.registered_models import MOVES_NOTE
from include.adapters.registry.versions import Versions
from include.records.judging import Verdict
from include.records.moves import Move, MoveKind

log = logging.getLogger("ratchet")
CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous_champion", "challenger"
_DONE = " done"


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


class LogRun(Versions):
    """Reads and writes the log of moves."""

    def _read(self, model: Any) -> MoveLog:
        """Return the log of a registered model."""
        run = self._run_of(model)
        params = run.data.params
        return MoveLog(
            run.info.run_id,
            moves_in(params),
            frozenset(one.removesuffix(_DONE) for one in params if one.endswith(_DONE)),
            max((int(name) for name in params if name.isdecimal()), default=0),
        )

    def _write(self, run_id: str, move: Move) -> None:
        # Letters as they are: MLflow counts characters, and six stand for one that is escaped.
        entry = json.dumps(asdict(move), ensure_ascii=False)
        self._client.log_param(run_id, entry_name(move), entry)

    def _mark_followed(self, run_id: str, move: Move) -> None:
        self._client.log_param(run_id, entry_name(move) + _DONE, "yes")

    def _log_run(self) -> str:
        """Return the id of the run that holds the log; empty while no model is registered."""
        model = self._registered()
        return "" if model is None else str(self._run_of(model).info.run_id)

    def _run_of(self, model: Any) -> Run:
        """Return the run that holds the log, and set the registered model's tag to it."""
        named = self._client.run_or_none(model.tags.get(MOVES, ""))
        if named is not None and self._is_the_log(named):
            lies_there = is_deleted(named.info)
            return self._client.active_run(named.info.run_id) if lies_there else named
        self._require_ours(model)
        found = self._lost_log()
        run_id = self._remade_log(model) if found is None else found.info.run_id
        self._client.set_registered_model_tag(self.model, MOVES, run_id)
        # Of two who do this at once the later one has the last word.
        return self._client.active_run(self._registered().tags[MOVES])

    def _is_the_log(self, run: Run) -> bool:
        """Return whether a run holds a log of moves of this registered model."""
        spec = run.data.tags.get(MOVES)
        return spec is not None and (spec == self._spec or not self._is_of_another(run))

    def _is_of_another(self, run: Run) -> bool:
        found = self._client.search_registered_models(f"tags.`{MOVES}` = '{run.info.run_id}'")
        return any(one.name != self.model for one in found)

    def _lost_log(self) -> Run | None:
        """Return the newest run of this spec with a move that is not another model's log."""
        logs = self._search(f"tags.`{MOVES}` = '{self._spec}'", ViewType.ALL)
        begun = (run for run in logs if moves_in(run.data.params))
        found = next((run for run in begun if not self._is_of_another(run)), None)
        if found is not None:
            log.warning(
                "registered model %s did not say where its log of moves is: it was found, run %s",
                self.model,
                found.info.run_id,
            )
        return found

    def _remade_log(self, model: Any) -> str:
        """Rebuild the log from aliases and versions, as far as they show it; return its run."""
        run_id = self._created("promotions", {KIND: LEDGER, NOTE: MOVES_NOTE})
        moves = list(self._recovered(model))
        for move in moves:
            self._write(run_id, move)
            if move != moves[-1]:
                self._mark_followed(run_id, move)
        self._client.set_tag(run_id, MOVES, self._spec)  # half made it was no log
        self._client.set_terminated(run_id)
        if moves:
            log.warning(
                "the log of moves of %s was deleted in MLflow for good: it is made anew from what "
                "aliases and versions say, and has version %s as the champion",
                self.model,
                moves[-1].version,
            )
        return run_id

    def _recovered(self, model: Any) -> Iterator[Move]:
        found = self._search_versions(f"name='{self.model}'")
        ours = {str(one.version): one for one in found if DIGEST in one.tags}
        promoted = {
            number for number, one in ours.items() if one.tags.get(VERDICT) == Verdict.PROMOTE
        }
        aliases = {alias: str(number) for alias, number in model.aliases.items()}
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
    champion, previous = aliases.get(CHAMPION), aliases.get(PREVIOUS)
    past = promoted | ({previous} & there if previous else set())
    line = sorted(past - {champion}, key=int)
    if champion in there and champion is not None:
        line = sorted({*past, champion}, key=int)
        # A champion with successors was gone back to.
        return line if line[-1] == champion else [*line, champion]
    # Without the alias: who has the other one was followed by the one before it.
    return [*line, line[-2]] if len(line) > 1 and line[-1] == previous else line
