"""The registered model: whether it is there, whether it is ours, and its versions as they are."""

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
"""By how much the clocks of MLflow's host and of those who move the champion may differ."""


@dataclass(frozen=True)
class Made:
    """What tells one model version from another of its number.

    Numbers start again at 1 when a registered model is deleted and made again.
    """

    number: str
    run_id: str
    created: float
    """Seconds since 1970."""
    is_ours: bool
    """Whether it has the digest without which nobody opens it."""

    def is_meant_by(self, move: Move) -> bool:
        """Whether a move led to this version, and not to one that had its number before.

        A move that was recorded without the run that made its version is taken to mean a version
        that was there at the time.
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
        """Return what a version was made of, None when it was deleted."""
        found = self._version(number)
        return None if found is None else made(found)

    def is_there(self, move: Move) -> bool:
        """Whether the version that a move led to can still be champion."""
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
        """Make the registered model, and with it in one write the run that records its moves."""
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
        """Raise TakenError when another tool made a registered model; heal a tag that was lost.

        Servers follow the models that have the tag.
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
        """Return the spec of the oldest version whose run is known to be a spec's."""
        versions = self._search_versions(f"name='{self.model}'")
        for version in sorted(versions, key=lambda item: int(item.version)):
            run = self._client.run_or_none(version.run_id or "")
            if run is not None and SPEC in run.data.tags:
                return str(run.data.tags[SPEC])
        return None

    def _tell_of_others(self) -> None:
        """Say it when a model is about to be made that seems to have been there before."""
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
    """Return what tells a model version, as MLflow has it, from others."""
    return Made(
        str(version.version),
        version.run_id or "",
        version.creation_timestamp / 1000,
        DIGEST in version.tags,
    )
