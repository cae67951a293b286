"""The log of moves and the aliases that follow it, made to agree before anybody reads them.

MLflow moves an alias atomically but has no compare-and-set, so the moves are recorded in a log. A
parameter of an MLflow run can be written only once: the process that writes the parameter with the
next number has won, and every other process fails, reads the log again and decides again. Then the
aliases are set according to the newest entry. A process that is killed between the two leaves no
lock behind: the next one that reads the log sets the aliases.

The log is the truth. An alias that was deleted is set again. An alias that a person moved is a
request, which counts once it is recorded as an entry. When the champion's version was deleted, the
newest champion before it that still exists becomes champion.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mlflow.exceptions import MlflowException

from include.adapters.registry.healing import ABSENT, REFUSED
from include.adapters.registry.log_run import PREVIOUS, LogRun, MoveLog, entry_name
from include.adapters.registry.registered_model import (
    RegisteredModel,
    VersionOrigin,
    version_origin,
)
from include.errors import ChampionMovedError
from include.records.moves import Move, MoveKind, succession
from serving.bundle.registered import DIGEST_TAG, Role

log = logging.getLogger("ratchet")
LOOKS = 200
"""Limit of attempts: more than the processes that can move one champion at the same time."""
# Longer than another process needs between its entry and the aliases.
_SECOND_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Look:
    """The log and the champion alias as read at one moment."""

    log: MoveLog
    version: Any = field(compare=False)
    """MLflow's record of the version that the champion alias names; None without one."""
    named: VersionOrigin | None
    """What identifies that version among others of the same number."""

    @property
    def agrees(self) -> bool:
        """Whether the alias names the version that is champion by the log."""
        newest = self.log.newest
        if newest is None or newest.version is None:
            return self.named is None
        return self.named is not None and self.named.is_meant_by(newest)


@dataclass(frozen=True)
class SettledLog:
    """The log of moves, whose aliases agree with it whenever it has been read."""

    spec: str
    model: RegisteredModel
    log_run: LogRun

    def read(self) -> MoveLog:
        """Return the log; an empty one before the first version."""
        look = self.look()
        return MoveLog("") if look is None else look.log

    def look(self) -> Look | None:
        """Return log and alias after making them agree; None while no model is registered."""
        look = self._now()
        for _ in range(LOOKS):
            if look is None:
                return None
            if not look.log.is_followed:
                look = self._follow(look)
                continue
            if look.agrees:
                return look
            # Between a move's entry and its aliases they differ for a moment, too.
            time.sleep(_SECOND_LOOK_SECONDS)
            again = self._now()
            if again == look and self._is_settled(look):
                return look
            look = self._now()
        raise self.restless()

    def append(self, wanted: Move, log_now: MoveLog) -> None:
        """Write an entry with the next number, unless another process was faster."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        move = replace(wanted, number=log_now.last + 1, before=log_now.champion, at=now)
        try:
            self.log_run.write(log_now.run_id, move)
        except MlflowException as error:
            if error.error_code != REFUSED:
                raise
            # Another process wrote this number first: the caller reads the log again, and decides
            # anew.
            time.sleep(_PAUSE_SECONDS)

    def restless(self) -> ChampionMovedError:
        """Return the error for a champion that others move all the time."""
        model = self.model.name
        return ChampionMovedError(
            f"log of moves and alias {Role.CHAMPION} of {model} do not come to agree: somebody "
            f"moves them all the time. End that (`./ratchet promotions {self.spec}` lists who), "
            "then clear this task"
        )

    def _now(self) -> Look | None:
        """Read log and alias; None while no model is registered."""
        record = self.model.record()
        if record is None:
            return None
        self.model.require_ours(record)
        number = record.aliases.get(Role.CHAMPION)
        log_now = self.log_run.read(record)
        version = None if number is None else self.model.version(str(number))
        return Look(log_now, version, None if version is None else version_origin(version))

    def _is_settled(self, look: Look) -> bool:
        """Resolve a difference between log and alias; return whether nothing is left to do.

        The log wins, unless the alias names another of Ratchet's versions: then a person has moved
        it on purpose.
        """
        named, newest = look.named, look.log.newest
        if named is not None and named.is_ours:
            key = f"by hand after {look.log.last}"
            self.append(Move(MoveKind.BY_HAND, named.number, key, made_in=named.run_id), look.log)
            return False
        if named is not None:
            log.warning(
                "alias %s of %s was put on version %s, which Ratchet did not register (it has no "
                "tag %s): it does not count. To take in a model from elsewhere: ./ratchet adopt",
                Role.CHAMPION,
                self.model.name,
                named.number,
                DIGEST_TAG,
            )
        if newest is None or newest.version is None:
            return True
        if self.model.stands(newest):
            self.model.point(Role.CHAMPION, newest.version)
            log.warning(
                "alias %s of %s was deleted or led astray in MLflow: it names version %s again, as "
                "the log of moves says",
                Role.CHAMPION,
                self.model.name,
                newest.version,
            )
        else:
            self._fall_back(look.log)
        return False

    def _fall_back(self, log_now: MoveLog) -> None:
        """Make the newest earlier champion that still exists the champion, or none."""
        line = reversed(succession(log_now.moves).line)
        back = next((move for move in line if self.model.is_there(move)), None)
        log.warning(
            "%s version %s, the champion, was deleted in MLflow: %s",
            self.model.name,
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
        self.append(move, log_now)

    def _follow(self, look: Look) -> Look | None:
        """Set the aliases to the newest entry, read again as long as others add entries.

        Returns log and alias after that; None when the model was deleted meanwhile.
        """
        move = look.log.newest
        if move is None:
            return look
        with _gone_is_no_harm():
            if move.before is not None:
                self.model.point(PREVIOUS, move.before)
        with _gone_is_no_harm():
            if move.version is None:
                self.model.remove(Role.CHAMPION)
            else:
                self.model.point(Role.CHAMPION, move.version)
        now = self._now()
        if now is None:
            return None
        if now.log.newest is not None and now.log.newest.number != move.number:
            return self._follow(now)
        # Not before: killed earlier, the next reader sets the same aliases again, which does no
        # harm.
        self.log_run.mark_followed(now.log.run_id, move)
        return replace(now, log=replace(now.log, done=now.log.done | {entry_name(move)}))


@contextmanager
def _gone_is_no_harm() -> Iterator[None]:
    """Ignore the error for a version or model that was deleted: the next reading handles it."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
