"""Ownership of a registered model: it belongs to the one spec that its tag names.

Two specs with the same model would move each other's champion. The spec that registers a model
first owns it, whatever the spec files are called and in whichever order they are read; a copy of
the file does not. A person transfers a model with `./ratchet transfer`.
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
    """Registry operations that are allowed only to the owner of the registered model."""

    def owner(self) -> str | None:
        """Return the name of the spec that owns the registered model; None while none does.

        A missing or empty tag is set again, to the spec of the oldest run that made a version.
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
        """Return the owner as `owner` does; None when MLflow does not respond within seconds."""
        try:
            with asking_for(_BRIEF_SECONDS, tries=0):
                return self.owner()
        except MlflowException:
            return None

    def require_owner(self) -> None:
        """Raise NotOwnerError when another spec owns the registered model."""
        self.require_own(self.owner())

    def require_own(self, owner: str | None) -> None:
        """Raise NotOwnerError when `owner` is another spec; None is allowed."""
        if owner not in {None, self._spec}:
            raise NotOwnerError(self._spec, self.model, str(owner))

    def transfer(self, by: str) -> str | None:
        """Make this spec the owner; return the owner before.

        The registered model records who asked, `by`, and when. Raises NothingToDoError before the
        first version.
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
        """Register a version as `Versions.register` does; NotOwnerError for another's model."""
        self.require_owner()
        version = super().register(*arguments, **options)
        # Of two that made the model in one moment the other one may have been first.
        self.require_owner()
        return version

    def move(self, wanted: Move, expected: str | None) -> Move:
        """Move the champion as `Promotions.move` does; NotOwnerError for another's model.

        A run that began before a transfer may still give back the champion that it promoted.
        """
        if wanted.kind is not MoveKind.GIVEN_BACK:
            self.require_owner()
        return super().move(wanted, expected)
