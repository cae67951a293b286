"""Ownership of a registered model: it belongs to the one spec that its tag names.

Two specs with the same model would move each other's champion. The spec that registers a model
first owns it, whatever the spec files are called and in whichever order they are read; a copy of
the file does not. A person transfers a model with `./ratchet transfer`.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow.exceptions import MlflowException

from include.adapters.registry.mlflow_requests import asking_for
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import TRANSFERRED
from include.errors import NothingToDoError, NotOwnerError
from serving.bundle.registered import SPEC_TAG

log = logging.getLogger("ratchet")
_BRIEF_SECONDS = 3


@dataclass(frozen=True)
class Ownership:
    """Whether the spec may change its registered model."""

    spec: str
    model: RegisteredModel

    def owner(self) -> str | None:
        """Return the name of the spec that owns the registered model; None while none does.

        A missing or empty tag is set again, to the spec of the oldest run that made a version.
        """
        record = self.model.record()
        if record is None:
            return None
        if stated := str(record.tags.get(SPEC_TAG, "")).strip():
            return stated
        found = self.model.first_spec()
        if found is not None:
            self.model.tag(SPEC_TAG, found)
            log.warning(
                "registered model %s had no owner any more: it is %s again", self.model.name, found
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
        if owner not in {None, self.spec}:
            raise NotOwnerError(self.spec, self.model.name, str(owner))

    def transfer(self, by: str) -> str | None:
        """Make this spec the owner; return the owner before.

        The registered model records who asked, `by`, and when. Raises NothingToDoError before the
        first version.
        """
        before = self.owner()
        if self.model.record() is None:
            raise NothingToDoError(
                f"nothing is registered as {self.model.name}, so it is nobody's: whoever registers "
                "the first version owns it"
            )
        if before != self.spec:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self.model.tag(TRANSFERRED, f"from {before} to {self.spec} by {by} at {now}")
            self.model.tag(SPEC_TAG, self.spec)
        return before
