"""The registered model of a spec in MLflow: its record, tags, aliases and versions."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.healing import ABSENT, DENIED
from include.errors import TakenError
from include.records.moves import Move
from serving.bundle.registered import DIGEST_TAG, SPEC_TAG

log = logging.getLogger("ratchet")
_CLOCKS_DIFFER_SECONDS = 60.0
"""Largest difference allowed between the clocks of MLflow's host and of Ratchet's hosts."""


@dataclass(frozen=True)
class VersionOrigin:
    """What identifies a model version among others of the same number.

    Numbers start at 1 again when a registered model is deleted and created again.
    """

    number: str
    run_id: str
    created: float
    """Time of creation in seconds since 1970."""
    is_ours: bool
    """Whether it has the tag with its bundle's digest, without which it is never opened."""

    def is_meant_by(self, move: Move) -> bool:
        """Return whether a move led to this version, and not to an earlier one of its number.

        A move recorded without the run of its version means a version that existed at its time.
        """
        if move.version != self.number:
            return False
        if move.made_in:
            return move.made_in == self.run_id
        recorded = datetime.fromisoformat(move.at).timestamp()
        return self.created <= recorded + _CLOCKS_DIFFER_SECONDS


class RegisteredModel:
    """The registered model of a spec, which may not exist yet."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is requested yet."""
        self._client = connection.client
        self._spec = connection.spec
        self.name = connection.model

    def record(self) -> Any:
        """Return MLflow's record, with tags and aliases; None before the first version."""
        # By its name: a search costs MLflow three times as much.
        try:
            return self._client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == ABSENT:
                return None
            if error.error_code != DENIED:
                raise
        # Who may read nothing by default is refused a name that nobody has, too; a search shows
        # what may be seen.
        found = self._client.search_registered_models(f"name='{self.name}'")
        return found[0] if found else None

    def version_origin(self, number: str) -> VersionOrigin | None:
        """Return what identifies a version; None when it was deleted."""
        found = self.version(number)
        return None if found is None else version_origin(found)

    def stands(self, move: Move) -> bool:
        """Return whether the version that a move led to exists, with or without its tags."""
        found = None if move.version is None else self.version_origin(move.version)
        return found is not None and found.is_meant_by(move)

    def is_there(self, move: Move) -> bool:
        """Return whether the version that a move led to still exists and can be champion."""
        found = None if move.version is None else self.version_origin(move.version)
        return found is not None and found.is_ours and found.is_meant_by(move)

    def version(self, number: str) -> Any:
        """Return MLflow's record of a version; None when it was deleted."""
        found = self._client.search_model_versions(
            f"name='{self.name}' and version_number={number}"
        )
        return found[0] if found else None

    def versions(self) -> Iterator[Any]:
        """Yield MLflow's record of every version, page by page."""
        token = None
        while True:
            page = self._client.search_model_versions(f"name='{self.name}'", page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def first_spec(self) -> str | None:
        """Return the spec of the oldest version whose run names a spec."""
        for version in sorted(self.versions(), key=lambda item: int(item.version)):
            run = self._client.run_or_none(version.run_id or "")
            if run is not None and SPEC_TAG in run.data.tags:
                return str(run.data.tags[SPEC_TAG])
        return None

    def require_ours(self, record: Any) -> None:
        """Raise TakenError when another tool made the registered model; set a lost tag again.

        Servers follow the registered models that have this tag.
        """
        if SPEC_TAG in record.tags:
            return
        versions = list(self.versions())
        if versions and not any(DIGEST_TAG in one.tags for one in versions):
            raise TakenError(
                f"{self._spec}.toml: another tool made the registered model {self.name} in "
                f"MLflow: none of its versions ({len(versions)}) has the tag {DIGEST_TAG}. Give "
                f"`model` in the spec another name, or say that Ratchet may go on with it: set "
                f"its tag {SPEC_TAG} to {self._spec} in MLflow"
            )
        self.tag(SPEC_TAG, self.first_spec() or self._spec)
        log.warning(
            "registered model %s had no tag %s, by which servers follow it: it has it again",
            self.name,
            SPEC_TAG,
        )

    def tag(self, name: str, value: str) -> None:
        """Set a tag of the registered model."""
        self._client.set_registered_model_tag(self.name, name, value)

    def point(self, alias: str, version: str) -> None:
        """Set an alias to a version."""
        try:
            self._client.set_registered_model_alias(self.name, alias, version)
        except MlflowException as error:
            # Two who set an alias that nobody had both insert it; the slower one now updates it.
            if "unique" not in str(error).lower():
                raise
            self._client.set_registered_model_alias(self.name, alias, version)

    def remove(self, alias: str) -> None:
        """Remove an alias."""
        self._client.delete_registered_model_alias(self.name, alias)


def version_origin(version: Any) -> VersionOrigin:
    """Return what identifies a model version of MLflow."""
    return VersionOrigin(
        str(version.version),
        version.run_id or "",
        version.creation_timestamp / 1000,
        DIGEST_TAG in version.tags,
    )
