"""The challenger alias, by which every server loads a version beside the champion."""

from dataclasses import dataclass

from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.versions import Versions
from include.records.models import ModelVersion
from serving.bundle.registered import Role


@dataclass(frozen=True)
class ChallengerAlias:
    """Puts a challenger up for the pre-flight, and takes it down."""

    model: RegisteredModel
    versions: Versions

    def put_up(self, challenger: ModelVersion) -> None:
        """Set the challenger alias, so that every server loads the version beside the champion."""
        self.versions.require_there(challenger)
        self.model.require_ours(self.model.record())
        self.model.point(Role.CHALLENGER, challenger.version)

    def take_down(self, challenger: ModelVersion) -> None:
        """Remove the challenger alias, unless it names another version by now."""
        record = self.model.record()
        named = None if record is None else record.aliases.get(Role.CHALLENGER)
        if named is not None and str(named) == challenger.version:
            self.model.remove(Role.CHALLENGER)
