"""The log of moves of the champion, and the aliases that follow it.

MLflow moves an alias atomically but has no compare-and-set, so the moves are recorded in a log. A
parameter of an MLflow run can be written only once: the process that writes the parameter with the
next number has won, and every other process fails, reads the log again and decides again. Then the
aliases are set according to the newest entry. A process that is killed between the two leaves no
lock behind: the next one that reads the log sets the aliases.

The log is the truth. An alias that was deleted is set again. An alias that a person moved is a
request, which counts once it is recorded as an entry. When the champion's version was deleted, the
newest champion before it that still exists becomes champion.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import DIGEST, NOTE, RUN_NAME, VERDICT
from include.adapters.registry.healing import ABSENT, REFUSED
from include.adapters.registry.log_run import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    LogRun,
    MoveLog,
    entry_name,
)
from include.adapters.registry.registered_models import Made, made
from include.errors import ChampionMovedError, GoneError, ModelRefusedError
from include.records.judging import Decision
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind, succession
from include.text.showable import showable, showable_values

log = logging.getLogger("ratchet")
# Longer than another process needs between its entry and the aliases.
_SECOND_LOOK_SECONDS = 1.0
_LOOKS = 200
"""Limit of attempts: more than the processes that can move one champion at the same time."""
_PAUSE_SECONDS = 0.02
_JUDGED = "judged_holdout_rows"


@dataclass(frozen=True)
class _Look:
    """The log and the champion alias as read at one moment."""

    log: MoveLog
    version: Any = field(compare=False)
    """MLflow's record of the version that the champion alias names; None without one."""
    named: Made | None
    """What identifies that version among others of the same number."""

    @property
    def agrees(self) -> bool:
        """Whether the alias names the version that is champion by the log."""
        newest = self.log.newest
        if newest is None or newest.version is None:
            return self.named is None
        return self.named is not None and self.named.is_meant_by(newest)


class Promotions(LogRun):
    """Reads the champion, and moves it through the log."""

    def champion(self) -> ModelVersion | None:
        """Return the champion by the log; None while there is none.

        Changes that people made to aliases and versions are handled first, see `moves`.
        """
        look = self._settled()
        if look is None or look.log.champion is None:
            return None
        return self._record(look.version) if look.agrees else self.version(look.log.champion)

    def moved_to(self, move: Move) -> ModelVersion | None:
        """Return the version that a move led to; None when it was deleted or has lost its tags."""
        if not self.is_there(move):
            return None
        try:
            return self.version(str(move.version))
        except ModelRefusedError as refused:
            log.warning("%s: it is passed over", refused)
            return None

    def put_up(self, challenger: ModelVersion) -> None:
        """Set the challenger alias, so that every server loads the version beside the champion."""
        self.require_there(challenger)
        self._require_ours(self._registered())
        self._point(CHALLENGER, challenger.version)

    def take_down(self, challenger: ModelVersion) -> None:
        """Remove the challenger alias, unless it names another version by now."""
        model = self._registered()
        named = None if model is None else model.aliases.get(CHALLENGER)
        if named is not None and str(named) == challenger.version:
            self._client.delete_registered_model_alias(self.model, CHALLENGER)

    def opponent(self, challenger: ModelVersion) -> ModelVersion | None:
        """Return the champion that a challenger has to beat; None when there is none.

        For a challenger that is champion already, that is the champion before it.
        """
        champion = self.champion()
        if champion is None or champion.run_id != challenger.run_id:
            return champion
        came = [move for move in self.moves() if not move.kind.leads_back]
        mine = (move.before for move in reversed(came) if move.version == challenger.version)
        before = next(mine, None)
        return None if before is None else self.version(before)

    def log_decision(self, run_id: str, version: ModelVersion, decision: Decision) -> None:
        """Record a decision in its run and on its model version, and end the run."""
        fields = showable_values(asdict(decision))
        self._client.log_text(run_id, json.dumps(fields, indent=1), "decision.json")
        verdict = str(decision.verdict)
        self._tag_verdict(version, verdict)
        card = decision.scores.challenger
        title = f"f1 {card.f1:.4f} {verdict.lower()}, {self._spec} data {card.data_version}"
        said = {VERDICT: verdict, NOTE: decision.reason, RUN_NAME: title}
        tags = [RunTag(key, showable(value)) for key, value in said.items()]
        self._client.log_batch(run_id, tags=tags)
        rows, number = card.rows, int(version.version)
        log_run = self._log_run()
        if log_run and (number, rows) not in self._judged(log_run):
            self._client.log_metric(log_run, _JUDGED, rows, step=number)
        self._client.set_terminated(run_id)

    def looks(self, challenger: ModelVersion, rows: int) -> int:
        """Return how many other challengers were judged on a holdout of at least half `rows`.

        That estimates how often the present holdout has been used: after it has doubled, most of
        its rows are unknown to earlier decisions.
        """
        judged = {number for number, held in self._judged(self._log_run()) if 2 * held >= rows}
        return len(judged - {int(challenger.version)})

    def moves(self) -> tuple[Move, ...]:
        """Return every move of the champion, the oldest first; the aliases agree with the newest.

        An alias that was moved in MLflow itself, or before there was a log, is recorded as an entry
        first; one that was deleted is set again. A deleted champion is replaced, by an entry too.
        """
        return self._settled_log().moves

    def move(self, wanted: Move, expected: str | None) -> Move:
        """Make a version the champion and return the recorded move.

        The old champion gets an alias of its own. A move with the same `key` that was recorded
        before is returned and not made again, even if the champion has changed since. When the
        version is champion already, the move that made it so is returned. Raises ChampionMovedError
        when the champion is not the version `expected` (None: no champion), GoneError when the
        wanted version was deleted.
        """
        for _ in range(_LOOKS):
            log_now = self._settled_log()
            moves, now = log_now.moves, log_now.champion
            found = next((one for one in moves if self._is_asked_by(one, wanted)), None)
            if found is not None:
                return found
            if moves and moves[-1].version is not None and moves[-1].leads_where(wanted):
                return moves[-1]
            if now != expected:
                raise ChampionMovedError(
                    f"{self.model} version {wanted.version} was judged against champion "
                    f"{expected}, but the champion is now {now}: clear the score task to judge "
                    "again"
                )
            self._append(self._told_apart(wanted), log_now)
        raise self._restless()

    def _is_asked_by(self, move: Move, wanted: Move) -> bool:
        """Return whether a recorded move has the wanted key and version."""
        if move.key != wanted.key or not move.leads_where(wanted):
            return False
        return bool(move.made_in) or self._stands(move)

    def _settled_log(self) -> MoveLog:
        """Return the log after making log and aliases agree; an empty log before the first move."""
        look = self._settled()
        return MoveLog("") if look is None else look.log

    def _settled(self) -> _Look | None:
        """Return log and alias after making them agree; None while no model is registered."""
        look = self._look()
        for _ in range(_LOOKS):
            if look is None:
                return None
            if not look.log.is_followed:
                look = self._follow(look)
                continue
            if look.agrees:
                return look
            # Between a move's entry and its aliases they differ for a moment, too.
            time.sleep(_SECOND_LOOK_SECONDS)
            again = self._look()
            if again == look and self._is_settled(look):
                return look
            look = self._look()
        raise self._restless()

    def _look(self) -> _Look | None:
        """Read log and alias; None while no model is registered."""
        model = self._registered()
        if model is None:
            return None
        self._require_ours(model)
        number = model.aliases.get(CHAMPION)
        log_now = self._read(model)
        version = None if number is None else self._version(str(number))
        return _Look(log_now, version, None if version is None else made(version))

    def _is_settled(self, look: _Look) -> bool:
        """Resolve a difference between log and alias; return whether nothing is left to do.

        The log wins, unless the alias names another of Ratchet's versions: then a person has moved
        it on purpose.
        """
        named, newest = look.named, look.log.newest
        if named is not None and named.is_ours:
            key = f"by hand after {look.log.last}"
            self._append(Move(MoveKind.BY_HAND, named.number, key, made_in=named.run_id), look.log)
            return False
        if named is not None:
            log.warning(
                "alias %s of %s was put on version %s, which Ratchet did not register (it has no "
                "tag %s): it does not count. To take in a model from elsewhere: ./ratchet adopt",
                CHAMPION,
                self.model,
                named.number,
                DIGEST,
            )
        if newest is None or newest.version is None:
            return True
        if self._stands(newest):
            self._point(CHAMPION, newest.version)
            log.warning(
                "alias %s of %s was deleted or led astray in MLflow: it names version %s again, as "
                "the log of moves says",
                CHAMPION,
                self.model,
                newest.version,
            )
        else:
            self._fall_back(look.log)
        return False

    def _stands(self, move: Move) -> bool:
        """Return whether the version that a move led to exists, with or without its tags."""
        found = None if move.version is None else self.made(move.version)
        return found is not None and found.is_meant_by(move)

    def _fall_back(self, log_now: MoveLog) -> None:
        """Make the newest earlier champion that still exists the champion, or none."""
        left = (move for move in reversed(succession(log_now.moves).line) if self.is_there(move))
        back = next(left, None)
        log.warning(
            "%s version %s, the champion, was deleted in MLflow: %s",
            self.model,
            log_now.champion,
            "no earlier champion is left, so the next model that is fit becomes the champion"
            if back is None
            else f"version {back.version}, a champion before it, is champion again",
        )
        move = Move(
            MoveKind.FELL_BACK,
            None if back is None else back.version,
            f"fell back after {log_now.last}",
            reason=f"version {log_now.champion} was deleted in MLflow",
            made_in="" if back is None else back.made_in,
        )
        self._append(move, log_now)

    def _told_apart(self, wanted: Move) -> Move:
        """Add to a move the run that made its version; GoneError when the version was deleted."""
        found = None if wanted.version is None else self.made(wanted.version)
        if found is None or (wanted.made_in and wanted.made_in != found.run_id):
            raise GoneError(
                f"{self.model} version {wanted.version} was deleted in MLflow, so it cannot become "
                "the champion: start a new run of the Dag (Trigger, with 'no_new_data' set to "
                "'retrain')"
            )
        return replace(wanted, made_in=found.run_id)

    def _append(self, wanted: Move, log_now: MoveLog) -> None:
        """Write an entry with the next number, unless another process was faster."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        move = replace(wanted, number=log_now.last + 1, before=log_now.champion, at=now)
        try:
            self._write(log_now.run_id, move)
        except MlflowException as error:
            if error.error_code != REFUSED:
                raise
            time.sleep(_PAUSE_SECONDS)

    def _follow(self, look: _Look) -> _Look | None:
        """Set the aliases to the newest entry, read again as long as others add entries.

        Returns log and alias after that; None when the model was deleted meanwhile.
        """
        move = look.log.newest
        if move is None:
            return look
        with _gone_is_no_harm():
            if move.before is not None:
                self._point(PREVIOUS, move.before)
        with _gone_is_no_harm():
            if move.version is None:
                self._client.delete_registered_model_alias(self.model, CHAMPION)
            else:
                self._point(CHAMPION, move.version)
        now = self._look()
        if now is None:
            return None
        if now.log.newest is not None and now.log.newest.number != move.number:
            return self._follow(now)
        self._mark_followed(now.log.run_id, move)
        return replace(now, log=replace(now.log, done=now.log.done | {entry_name(move)}))

    def _point(self, alias: str, version: str) -> None:
        try:
            self._client.set_registered_model_alias(self.model, alias, version)
        except MlflowException as error:
            # Two who set an alias that nobody had both insert it; the slower one now updates it.
            if "unique" not in str(error).lower():
                raise
            self._client.set_registered_model_alias(self.model, alias, version)

    def _tag_verdict(self, version: ModelVersion, verdict: str) -> None:
        try:
            self._client.set_model_version_tag(self.model, version.version, VERDICT, verdict)
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
            log.warning(
                "%s version %s was deleted in MLflow: what was decided on it stands with its run",
                self.model,
                version.version,
            )

    def _judged(self, run_id: str) -> set[tuple[int, int]]:
        """Return the model versions that were judged, each with its number of holdout rows."""
        points = self._client.get_metric_history(run_id, _JUDGED) if run_id else ()
        return {(point.step, int(point.value)) for point in points}

    def _restless(self) -> ChampionMovedError:
        return ChampionMovedError(
            f"log of moves and alias {CHAMPION} of {self.model} do not come to agree: somebody "
            f"moves them all the time. End that (`./ratchet promotions {self._spec}` lists who), "
            "then clear this task"
        )


@contextmanager
def _gone_is_no_harm() -> Iterator[None]:
    """Ignore the error for a version or model that was deleted: the next reading handles it."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
