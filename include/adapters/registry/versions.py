"""Registers model versions with their bundles, and opens them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow

from include.adapters.registry.artifacts import files_at
from include.adapters.registry.connection import Connection
from include.adapters.registry.log_run import LogRun
from include.adapters.registry.mlflow_model import log_bundle
from include.adapters.registry.ownership import Ownership
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import DATA, FILES
from include.errors import GoneError, ModelRefusedError
from include.records.models import FAMILY, ORIGIN, TABLE, ModelVersion, Origin
from include.records.moves import Move
from include.text.showable import showable_values
from serving.bundle import (
    Bundle,
    BundleRefusedError,
    Manifest,
    load,
    with_own_answers,
)
from serving.bundle.registered import DIGEST_TAG, MANIFEST_FILE, MODEL_FILE


@dataclass(frozen=True)
class Versions:
    """The model versions of a spec's registered model."""

    connection: Connection
    model: RegisteredModel
    log_run: LogRun
    ownership: Ownership

    def register(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        """Store a fitted model as a bundle in a run, and register it as a model version.

        `requirements` are pinned packages, such as `numpy==2.0.0`; `metadata` are the version's
        tags. Raises NotOwnerError when the registered model is another spec's.
        """
        self.ownership.require_owner()
        version = self.made_in(run_id) or self._new(run_id, model, manifest, requirements, metadata)
        # Of two that made the model in one moment the other one may have been first.
        self.ownership.require_owner()
        return version

    def made_in(self, run_id: str) -> ModelVersion | None:
        """Return the version that a run has registered; None when it has not."""
        of_the_run = f"name='{self.model.name}' and run_id='{run_id}'"
        found = self.connection.client.search_model_versions(of_the_run)
        ours = [
            one for one in found if DIGEST_TAG in one.tags
        ]  # and not what a person made of the run
        return self.record_of(min(ours, key=lambda item: int(item.version))) if ours else None

    def data_versions(self) -> set[int]:
        """Return the table versions that model versions were fitted on.

        Their data files must not be deleted.
        """
        versions = self.model.versions()
        return {int(text) for one in versions if (text := one.tags.get(DATA, "")).isdecimal()}

    def version_numbered(self, number: str) -> ModelVersion | None:
        """Return a model version by its number; None when it was deleted.

        Raises ModelRefusedError when it has lost its tags.
        """
        found = self.model.version(number)
        return None if found is None else self.record_of(found)

    def is_there(self, move: Move) -> bool:
        """Return whether the version that a move led to still exists and can be champion."""
        return self.model.is_there(move)

    def require_there(self, version: ModelVersion) -> None:
        """Raise GoneError when a version was deleted, also when another has its number now."""
        found = self.model.version_origin(version.version)
        if found is None or found.run_id != version.run_id:
            raise GoneError(
                f"{version.name} version {version.version} was deleted in MLflow, so nothing can "
                "be done with it: start a new run of the Dag (Trigger, with 'no_new_data' set "
                "to 'retrain')"
            )

    def bundle(self, version: ModelVersion) -> Bundle:
        """Download, verify and open the bundle of a model version.

        Raises ModelRefusedError when a file was changed or is missing, GoneError when the version
        was deleted.
        """
        self.require_there(version)
        uri = self.connection.client.get_model_version_download_uri(
            self.model.name, version.version
        )
        there = files_at(uri)
        if lost := [name for name in (MANIFEST_FILE, MODEL_FILE) if name not in there]:
            raise self._refused(version, f"has no {' and no '.join(lost)} in MLflow any more")
        with tempfile.TemporaryDirectory() as folder:
            for name in (MANIFEST_FILE, MODEL_FILE):
                mlflow.artifacts.download_artifacts(f"{uri}/{name}", dst_path=folder)
            try:
                return load(Path(folder), version.digest)
            except BundleRefusedError as error:
                raise self._refused(version, f"is refused: {error}") from error

    def _new(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        client = self.connection.client
        client.active_run(run_id)
        self.log_run.ensure_registered_model()
        logged = log_bundle(run_id, model, with_own_answers(manifest, model), requirements)
        pins = {DIGEST_TAG: logged.digest, FILES: json.dumps(logged.others)}
        made = client.create_model_version(
            self.model.name,
            source=f"models:/{logged.model_id}",
            run_id=run_id,
            model_id=logged.model_id,
            tags=showable_values({**pins, DATA: str(manifest.data_version), **metadata}),
        )
        # A server that dies between the write and its answer is asked again by MLflow's client.
        return self.made_in(run_id) or self.record_of(made)

    def _refused(self, version: ModelVersion, why: str) -> ModelRefusedError:
        return ModelRefusedError(
            f"{version.name} version {version.version} {why}: put back what was registered, or "
            "delete the version in MLflow and start a new run; of a champion the one before it "
            "is champion then"
        )

    def record_of(self, version: Any) -> ModelVersion:
        """Return the record of a version of MLflow; ModelRefusedError when it lost its tags."""
        tags = version.tags
        try:
            return ModelVersion(
                self.model.name,
                str(version.version),
                tags[DIGEST_TAG],
                int(tags[DATA]),
                version.run_id,
                table=tags.get(TABLE, ""),
                origin=Origin(tags.get(ORIGIN, Origin.FITTED)),
                family=tags.get(FAMILY, ""),
            )
        except (KeyError, ValueError) as error:
            sound = f"{DIGEST_TAG}, {DATA}" + f" and {ORIGIN}" * (ORIGIN in tags)
            raise ModelRefusedError(
                f"{self.model.name} version {version.version} has lost the tags that Ratchet gave "
                f"it, or their values were changed ({sound}): put them back, or delete the version "
                "in MLflow and start a new run; of a champion the one before it is champion then"
            ) from error
