"""The champion of a registered model: read by the log of moves, and moved through it."""

import logging
from dataclasses import dataclass, replace

from include.adapters.registry.ownership import Ownership
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.settled_log import LOOKS, SettledLog
from include.adapters.registry.versions import Versions
from include.errors import ChampionMovedError, GoneError, ModelRefusedError
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind

log = logging.getLogger("ratchet")


@dataclass(frozen=True)
class Champion:
    """Reads the champion, and moves it through the log."""

    model: RegisteredModel
    versions: Versions
    ownership: Ownership
    settled_log: SettledLog

    def current(self) -> ModelVersion | None:
        """Return the champion by the log; None while there is none.

        Changes that people made to aliases and versions are handled first, see `moves`.
        """
        look = self.settled_log.look()
        if look is None or look.log.champion is None:
            return None
        if look.agrees:
            return self.versions.record_of(look.version)
        return self.versions.version_numbered(look.log.champion)

    def reached_by(self, move: Move) -> ModelVersion | None:
        """Return the version that a move led to; None when it was deleted or has lost its tags."""
        if not self.model.is_there(move):
            return None
        try:
            return self.versions.version_numbered(str(move.version))
        except ModelRefusedError as refused:
            log.warning("%s: it is passed over", refused)
            return None

    def opponent_of(self, challenger: ModelVersion) -> ModelVersion | None:
        """Return the champion that a challenger has to beat; None when there is none.

        For a challenger that is champion already, that is the champion before it.
        """
        champion = self.current()
        if champion is None or champion.run_id != challenger.run_id:
            return champion
        came = [move for move in self.moves() if not move.kind.leads_back]
        mine = (move.before for move in reversed(came) if move.version == challenger.version)
        before = next(mine, None)
        return None if before is None else self.versions.version_numbered(before)

    def moves(self) -> tuple[Move, ...]:
        """Return every move of the champion, the oldest first; the aliases agree with the newest.

        An alias that was moved in MLflow itself, or before there was a log, is recorded as an entry
        first; one that was deleted is set again. A deleted champion is replaced, by an entry too.
        """
        return self.settled_log.read().moves

    def move(self, wanted: Move, expected: str | None) -> Move:
        """Make a version the champion and return the recorded move.

        The old champion gets an alias of its own. A move with the same `key` that was recorded
        before is returned and not made again, even if the champion has changed since. When the
        version is champion already, the move that made it so is returned. Raises ChampionMovedError
        when the champion is not the version `expected` (None: no champion), GoneError when the
        wanted version was deleted, NotOwnerError when the model is another spec's. A run that began
        before a transfer may still give back the champion that it promoted.
        """
        if wanted.kind is not MoveKind.GIVEN_BACK:
            self.ownership.require_owner()
        for _ in range(LOOKS):
            log_now = self.settled_log.read()
            moves, now = log_now.moves, log_now.champion
            found = next((one for one in moves if self._is_asked_by(one, wanted)), None)
            if found is not None:
                return found
            if moves and moves[-1].version is not None and moves[-1].leads_where(wanted):
                return moves[-1]
            if now != expected:
                raise ChampionMovedError(
                    f"{self.model.name} version {wanted.version} was judged against champion "
                    f"{expected}, but the champion is now {now}: clear the score task to judge "
                    "again"
                )
            self.settled_log.append(self._told_apart(wanted), log_now)
        raise self.settled_log.restless()

    def _is_asked_by(self, move: Move, wanted: Move) -> bool:
        """Return whether a recorded move has the wanted key and version."""
        if move.key != wanted.key or not move.leads_where(wanted):
            return False
        return bool(move.made_in) or self.model.stands(move)

    def _told_apart(self, wanted: Move) -> Move:
        """Add to a move the run that made its version; GoneError when the version was deleted."""
        found = None if wanted.version is None else self.model.version_origin(wanted.version)
        if found is None or (wanted.made_in and wanted.made_in != found.run_id):
            raise GoneError(
                f"{self.model.name} version {wanted.version} was deleted in MLflow, so it cannot "
                "become the champion: start a new run of the Dag (Trigger, with 'no_new_data' set "
                "to 'retrain')"
            )
        return replace(wanted, made_in=found.run_id)
