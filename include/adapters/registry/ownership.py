"""Whose a registered model is: of the spec that its tag names, and of no other.

Two specs of one model would move one another's champion. The spec that registers a model first is
its owner, whatever the files are called and in whichever order they are read; a copy of its file is
a newcomer. A person hands a model over with `./ratchet transfer`.
"""

import logging
from datetime import UTC, datetime
from typing import Any

from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import SPEC, asking_for
from include.adapters.registry.promotions import Promotions
from include.errors import NothingToDoError, NotOwnerError
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind

log = logging.getLogger("ratchet")
TRANSFERRED = "ratchet.transferred"
_BRIEF_SECONDS = 3


class Ownership(Promotions):
    """The registered model of a spec, as long as it is the spec's own."""

    def owner(self) -> str | None:
        """Return the spec that owns the registered model, None while none does.

        Where the tag is missing or says nothing, the spec of the oldest run that made a version of
        it is written there again.
        """
        model = self._registered()
        if model is None:
            return None
        if stated := str(model.tags.get(SPEC, "")).strip():
            return stated
        found = self._first_spec()
        if found is not None:
            self._client.set_registered_model_tag(self.model, SPEC, found)
            log.warning(
                "registered model %s had no owner any more: it is %s again", self.model, found
            )
        return found

    def owner_if_told(self) -> str | None:
        """Return the owner as `owner` does, or None where MLflow does not tell within seconds."""
        try:
            with asking_for(_BRIEF_SECONDS, tries=0):
                return self.owner()
        except MlflowException:
            return None

    def require_owner(self) -> None:
        """Raise NotOwnerError when the registered model is another spec's."""
        self.require_own(self.owner())

    def require_own(self, owner: str | None) -> None:
        """Raise NotOwnerError for an owner that is another spec."""
        if owner not in {None, self._spec}:
            raise NotOwnerError(self._spec, self.model, str(owner))

    def transfer(self, by: str) -> str | None:
        """Make this spec the owner and return who was; NothingToDoError before the first version.

        Written down at the registered model, with who asked and when.
        """
        before = self.owner()
        if self._registered() is None:
            raise NothingToDoError(
                f"nothing is registered as {self.model}, so it is nobody's: whoever registers the "
                "first version owns it"
            )
        if before != self._spec:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            told = f"from {before} to {self._spec} by {by} at {now}"
            self._client.set_registered_model_tag(self.model, TRANSFERRED, told)
            self._client.set_registered_model_tag(self.model, SPEC, self._spec)
        return before

    def register(self, *arguments: Any, **options: Any) -> ModelVersion:
        """Register a version as `Versions` does, of a model that is the spec's own."""
        self.require_owner()
        version = super().register(*arguments, **options)
        # Of two that made the model in one moment the other one may have been first.
        self.require_owner()
        return version

    def move(self, wanted: Move, expected: str | None) -> Move:
        """Move the champion as `Promotions` does, of a model that is the spec's own.

        What a spec gives back after its model was handed over it may still give back.
        """
        if wanted.kind is not MoveKind.GIVEN_BACK:
            self.require_owner()
        return super().move(wanted, expected)
