"""Checks that the stored files of a model version are still those that were registered.

Every file is downloaded in pieces and hashed; nothing is opened or stored. The digest in a tag of
the version must be that of `bundle.json`, which contains the digest of the model file; a second tag
has the digests of the files by which MLflow's own loaders find the model.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import mlflow
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from include.adapters.registry.connection import Connection
from include.adapters.registry.log_run import PREVIOUS
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import FILES
from include.errors import ModelRefusedError
from include.records.ledger_state import Artifact, ArtifactsReading
from include.store.units import MIB
from serving.bundle.registered import DIGEST_TAG, MANIFEST_FILE, MODEL_FILE, Role

_ALIASES = (*Role, PREVIOUS)
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_BLOCK = MIB
_MANIFEST_BLOCKS = 16
_OK, _NOT_FOUND = 200, 404


@dataclass(frozen=True)
class Artifacts:
    """The files of the versions of one registered model that have an alias."""

    connection: Connection

    def check(self) -> ArtifactsReading:
        """Read every file whole and compare digests; errors of the connection are raised."""
        model = RegisteredModel(self.connection).record()
        aliases = {} if model is None else {str(k): str(v) for k, v in model.aliases.items()}
        ours = list(dict.fromkeys(aliases[one] for one in _ALIASES if one in aliases))
        return ArtifactsReading(tuple(self._checked(version) for version in ours))

    def _checked(self, version: str) -> Artifact:
        client, model = self.connection.client, self.connection.model
        tags = client.get_model_version(model, version).tags
        if DIGEST_TAG not in tags:
            return Artifact(version, f"has no tag {DIGEST_TAG}: the pipeline did not register it")
        uri = client.get_model_version_download_uri(model, version)
        try:
            return Artifact(version, self._problem(uri, tags))
        except FileNotFoundError as error:
            return Artifact(version, f"{error} is gone")

    def _problem(self, uri: str, tags: Mapping[str, str]) -> str:
        """Return which stored file is not what the tags of its version say; empty when all are."""
        manifest = b"".join(islice(self._read(f"{uri}/{MANIFEST_FILE}"), _MANIFEST_BLOCKS))
        if hashlib.sha256(manifest).hexdigest() != tags[DIGEST_TAG]:
            return f"{MANIFEST_FILE} was changed after it was registered"
        digests = {MODEL_FILE: str(json.loads(manifest)["model_sha256"])}
        try:
            digests |= json.loads(tags.get(FILES, "{}"))
        except (ValueError, TypeError):
            return f"has a tag {FILES} that was changed after it was registered"
        for name, digest in digests.items():
            if _sha256(self._read(f"{uri}/{name}")) != digest:
                return f"{name} was changed after it was registered"
        return ""

    def _read(self, uri: str) -> Iterator[bytes]:
        """Yield a file's bytes in blocks; FileNotFoundError, with its name, when it is missing."""
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            yield from self._downloaded(uri)
            return
        path = parts.path.strip("/")
        with self._asked(f"{_PROXY}/{quote(path)}") as answer:
            if answer.status_code == _OK:
                yield from answer.iter_content(_BLOCK)
                return
        self._require_listed(path)
        raise ModelRefusedError(f"MLflow answered {answer.status_code} instead of {path}")

    def _require_listed(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        with self._asked(f"{_PROXY}?path={quote(folder)}") as answer:
            if answer.status_code == _NOT_FOUND:
                raise FileNotFoundError(name)
            if answer.status_code == _OK:
                files = answer.json().get("files", [])
                names = (one["path"].rpartition("/")[2] for one in files if not one.get("is_dir"))
                if name not in names:
                    raise FileNotFoundError(name)

    def _asked(self, path: str) -> Any:
        # A status that is no success is looked at here, and not asked for again.
        host = get_default_host_creds(self.connection.url)
        return http_request(host, path, "GET", stream=True, raise_on_status=False, retry_codes=())

    def _downloaded(self, uri: str) -> Iterator[bytes]:
        """Yield a file that MLflow's server does not proxy, such as one in a bucket."""
        folder_uri, _, name = uri.rpartition("/")
        if name not in files_at(folder_uri):
            raise FileNotFoundError(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block


def files_at(uri: str) -> frozenset[str]:
    """Return the names of the files at an artifact URI; a folder that bears a file's name is none.

    Asked before a download, which is tried again for minutes where a bucket has no such key.
    """
    listed = mlflow.artifacts.list_artifacts(uri)
    return frozenset(Path(one.path).name for one in listed if not one.is_dir)


def _sha256(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
