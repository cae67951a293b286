"""Who was champion from when, moved by whom and why; and the aliases that follow from it.

MLflow moves an alias atomically but has no compare-and-set, so the moves are a log. A parameter of
a run can be written once: whoever writes the parameter with the next number after those it has
read has won, and everybody else has lost and reads again. The aliases follow the newest entry. A
process killed between its entry and the aliases leaves no lock behind: the next one that looks
brings the aliases to where the log says.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import MOVES, NOTE, VERDICT
from include.adapters.registry.versions import Versions
from include.errors import ChampionMovedError
from include.moves import Move, MoveKind
from include.records import Decision, ModelVersion
from include.showable import showable, showable_values

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous_champion", "challenger"
# Longer than another process needs between its entry and the aliases.
_SECOND_LOOK_SECONDS = 1.0
_DONE = " done"
_JUDGED = "judged_holdout_rows"


@dataclass(frozen=True)
class _Log:
    moves: tuple[Move, ...] = ()
    done: frozenset[str] = frozenset()
    """Names of the entries that the aliases have followed."""

    @property
    def newest(self) -> Move | None:
        return self.moves[-1] if self.moves else None

    @property
    def champion(self) -> str | None:
        return self.newest.version if self.newest else None


class Promotions(Versions):
    """The champion, and every move of it."""

    _known_log_run = ""

    def champion(self) -> ModelVersion | None:
        """Return the model version that the champion alias names, None while there is none."""
        return self._by_alias(CHAMPION)

    def put_up(self, challenger: ModelVersion) -> None:
        """Let every server that follows the registry hold a version beside the champion."""
        self._point(CHALLENGER, challenger.version)

    def take_down(self, challenger: ModelVersion) -> None:
        """Let the servers drop a challenger, unless another one was put up meanwhile."""
        if self._by_alias(CHALLENGER) == challenger:
            self._client.delete_registered_model_alias(self.model, CHALLENGER)

    def opponent(self, challenger: ModelVersion) -> ModelVersion | None:
        """Return the champion that a challenger has to beat, None when there is none.

        For a challenger that is the champion already, the one that it took over from.
        """
        champion = self.champion()
        if champion != challenger:
            return champion
        came = [move for move in self.moves() if not move.kind.leads_back]
        mine = (move.before for move in reversed(came) if move.version == challenger.version)
        before = next(mine, None)
        return None if before is None else self.version(before)

    def log_decision(self, run_id: str, version: ModelVersion, decision: Decision) -> None:
        """Record a decision on its run and its model version, and close the run."""
        fields = showable_values(asdict(decision))
        self._client.log_text(run_id, json.dumps(fields, indent=1), "decision.json")
        verdict = str(decision.verdict)
        self._client.set_model_version_tag(self.model, version.version, VERDICT, verdict)
        for key, value in ((VERDICT, verdict), (NOTE, showable(decision.reason))):
            self._client.set_tag(run_id, key, value)
        rows, number = decision.scores.challenger.rows, int(version.version)
        if (number, rows) not in self._judged():
            self._client.log_metric(self._log_run(), _JUDGED, rows, step=number)
        self._client.set_terminated(run_id)

    def looks(self, challenger: ModelVersion, rows: int) -> int:
        """Return how many other challengers were decided on, on a holdout at least half this large.

        That is how often this holdout has been asked since it last grew substantially: one that
        has doubled is mostly rows that no earlier decision has seen. One request.
        """
        judged = {number for number, held in self._judged() if 2 * held >= rows}
        return len(judged - {int(challenger.version)})

    def moves(self) -> tuple[Move, ...]:
        """Return every move of the champion alias, the oldest first.

        The aliases stand where the newest says when this returns. An alias that was moved in
        MLflow itself, or before there was a log, becomes an entry of its own.
        """
        while True:
            log = self._log()
            if log.newest is not None and _name(log.newest) not in log.done:
                self._follow(log.newest)
                continue
            named = self._named()
            if named == log.champion:
                return log.moves
            # Between a move's entry and its aliases they differ for a moment, too.
            time.sleep(_SECOND_LOOK_SECONDS)
            if self._log() == log and self._named() == named:
                self._append(Move(MoveKind.BY_HAND, named, f"by hand after {len(log.moves)}"), log)

    def move(self, wanted: Move, expected: str | None) -> Move:
        """Make a version the champion and return the move as it is recorded.

        The old champion keeps an alias of its own. A move with the same `key` that is recorded
        already is returned and not made again, even if the champion has moved on since; where the
        version is the champion, the move that made it so. Raises ChampionMovedError when the
        champion is not the `expected` version.
        """
        while True:
            moves = self.moves()
            found = next((move for move in moves if move.key == wanted.key), None)
            if found is not None:
                return found
            now = moves[-1].version if moves else None
            if moves and now == wanted.version:
                return moves[-1]
            if now != expected:
                raise ChampionMovedError(
                    f"{self.model} version {wanted.version} was judged against champion "
                    f"{expected}, but the champion is now {now}: clear the score task to judge "
                    "again"
                )
            self._append(wanted, _Log(moves))

    def _append(self, wanted: Move, log: _Log) -> None:
        """Write an entry after those that were read, unless somebody was faster."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        move = replace(wanted, number=len(log.moves) + 1, before=log.champion, at=now)
        try:
            self._client.log_param(self._log_run(), _name(move), _written(move))
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise

    def _follow(self, move: Move) -> None:
        """Bring the aliases to an entry, or to the newest when others came in between."""
        if move.before is not None:
            self._point(PREVIOUS, move.before)
        if move.version is None:
            self._client.delete_registered_model_alias(self.model, CHAMPION)
        else:
            self._point(CHAMPION, move.version)
        newest = self._log().newest
        if newest is not None and newest.number != move.number:
            self._follow(newest)
        self._client.log_param(self._log_run(), _name(move) + _DONE, "yes")

    def _point(self, alias: str, version: str) -> None:
        try:
            self._client.set_registered_model_alias(self.model, alias, version)
        except MlflowException as error:
            # Two who set an alias that nobody had both insert it; the slower one now updates it.
            if "unique" not in str(error).lower():
                raise
            self._client.set_registered_model_alias(self.model, alias, version)

    def _log(self) -> _Log:
        run_id = self._log_run()
        if not run_id:
            return _Log()
        params = self._client.get_run(run_id).data.params
        done = {name.removesuffix(_DONE) for name in params if name.endswith(_DONE)}
        return _Log(moves_in(params), frozenset(done))

    def _judged(self) -> set[tuple[int, int]]:
        """Return the model versions that were decided on, each with the holdout rows it met."""
        points = self._client.get_metric_history(self._log_run(), _JUDGED)
        return {(point.step, int(point.value)) for point in points}

    def _named(self) -> str | None:
        champion = self.champion()
        return None if champion is None else champion.version

    def _log_run(self) -> str:
        """Return the run that records the moves, empty while nothing is registered.

        A registered model that `register` did not make gets one when it is first asked for.
        """
        if not self._known_log_run:
            model = self._registered()
            if model is not None and MOVES not in model.tags:
                self._client.set_registered_model_tag(self.model, MOVES, self._new_log_run())
                model = self._registered()
            self._known_log_run = "" if model is None else str(model.tags[MOVES])
        return self._known_log_run


def moves_in(params: Mapping[str, str]) -> tuple[Move, ...]:
    """Return the moves that the parameters of a log's run are, the oldest first."""
    entries = sorted(name for name in params if not name.endswith(_DONE))
    return tuple(_read(params[name]) for name in entries)


def _name(move: Move) -> str:
    """Return the name of an entry's parameter: in the order of names they are in their order."""
    return f"{move.number:06d}"


def _written(move: Move) -> str:
    # Letters as they are: MLflow counts characters, and six stand for one that is escaped.
    return json.dumps(asdict(move), ensure_ascii=False)


def _read(entry: str) -> Move:
    fields = json.loads(entry)
    return Move(**fields | {"kind": MoveKind(fields["kind"])})
