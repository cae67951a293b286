"""The registered model in MLflow: creates it, checks that it is Ratchet's, lists its versions."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import DIGEST, KIND, LEDGER, MOVES, NOTE, SPEC, Connection
from include.adapters.registry.healing import TAKEN
from include.errors import TakenError
from include.records.moves import Move

log = logging.getLogger("ratchet")
MOVES_NOTE = (
    "Every move of the champion: a parameter each, numbered. `./ratchet promotions SPEC` lists "
    "them. Do not delete this run: rolling back and the next promotion read it."
)
_CLOCKS_DIFFER_SECONDS = 60.0
"""Largest difference allowed between the clocks of MLflow's host and of Ratchet's hosts."""


@dataclass(frozen=True)
class Made:
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


class RegisteredModel(Connection):
    """The registered model of a spec."""

    def made(self, number: str) -> Made | None:
        """Return what identifies a version; None when it was deleted."""
        found = self._version(number)
        return None if found is None else made(found)

    def is_there(self, move: Move) -> bool:
        """Return whether the version that a move led to still exists and can be champion."""
        found = None if move.version is None else self.made(move.version)
        return found is not None and found.is_ours and found.is_meant_by(move)

    def _version(self, number: str) -> Any:
        found = self._client.search_model_versions(
            f"name='{self.model}' and version_number={number}"
        )
        return found[0] if found else None

    def _search_versions(self, condition: str) -> Iterator[Any]:
        """Yield every model version that meets a condition, page by page."""
        token = None
        while True:
            page = self._client.search_model_versions(condition, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _ensure_registered_model(self) -> None:
        """Create the registered model, with the run of its log of moves in the same request."""
        found = self._registered()
        if found is not None:
            self._require_ours(found)
            return
        self._tell_of_others()
        moves = self._new_log_run()
        try:
            self._client.create_registered_model(self.model, tags={SPEC: self._spec, MOVES: moves})
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
            self._client.delete_run(moves)

    def _require_ours(self, model: Any) -> None:
        """Raise TakenError when another tool made the registered model; set a lost tag again.

        Servers follow the registered models that have this tag.
        """
        if SPEC in model.tags:
            return
        versions = list(self._search_versions(f"name='{self.model}'"))
        if versions and not any(DIGEST in one.tags for one in versions):
            raise TakenError(
                f"{self._spec}.toml: another tool made the registered model {self.model} in "
                f"MLflow: none of its versions ({len(versions)}) has the tag {DIGEST}. Give "
                f"`model` in the spec another name, or say that Ratchet may go on with it: set "
                f"its tag {SPEC} to {self._spec} in MLflow"
            )
        self._client.set_registered_model_tag(self.model, SPEC, self._first_spec() or self._spec)
        log.warning(
            "registered model %s had no tag %s, by which servers follow it: it has it again",
            self.model,
            SPEC,
        )

    def _first_spec(self) -> str | None:
        """Return the spec of the oldest version whose run names a spec."""
        versions = self._search_versions(f"name='{self.model}'")
        for version in sorted(versions, key=lambda item: int(item.version)):
            run = self._client.run_or_none(version.run_id or "")
            if run is not None and SPEC in run.data.tags:
                return str(run.data.tags[SPEC])
        return None

    def _tell_of_others(self) -> None:
        """Log a warning before a model is created that seems to have existed before."""
        others = self._client.search_registered_models(f"tags.`{SPEC}` = '{self._spec}'")
        if others:
            log.warning(
                "MLflow has no registered model %s, but %s of the same spec: a new one begins, "
                "without a champion. If that is a wrong name, delete %s and give it its own back",
                self.model,
                ", ".join(one.name for one in others),
                self.model,
            )

    def _new_log_run(self) -> str:
        said = {MOVES: self._spec, KIND: LEDGER, NOTE: MOVES_NOTE}
        run_id = self._created("promotions", said)
        self._client.set_terminated(run_id)
        return run_id


def made(version: Any) -> Made:
    """Return what identifies a model version of MLflow."""
    return Made(
        str(version.version),
        version.run_id or "",
        version.creation_timestamp / 1000,
        DIGEST in version.tags,
    )
