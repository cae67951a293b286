"""What the server asks of a model registry, and MLflow's answers over plain REST.

A model is followed when its registered model carries the tag `ratchet.spec`; its aliases
`champion`, `challenger`, `canary` and `shadow` name the versions to hold; a version's tag
`ratchet.digest` pins its bundle. No MLflow client is installed beside the server: four requests are
all it takes.
"""

import asyncio
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

from serving.bundle.files import MANIFEST_FILE, MODEL_FILE
from serving.models.holder import Role

SPEC_TAG = "ratchet.spec"
DIGEST_TAG = "ratchet.digest"
_API = "/api/2.0/mlflow"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
_SECONDS = 10.0
_CHUNK_BYTES = 2**20
_WRONG_HOST = "Invalid Host header"
_ACCOUNT = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


Named = dict[Role, str]
"""The versions of a model that the aliases name."""


class RegistryError(Exception):
    """The registry did not answer, or not with what is needed; the message says which."""


class Registry(Protocol):
    """The questions that following a model takes; each may raise RegistryError."""

    async def named(self) -> dict[str, Named]:
        """Return for every followed name the versions that its aliases name."""

    async def digest(self, name: str, version: str) -> str:
        """Return the digest that pins the bundle of a version."""

    async def fetch(self, name: str, version: str, folder: Path) -> None:
        """Write the files of a version's bundle into an existing folder."""

    async def close(self) -> None:
        """Give back what talking to the registry holds open."""


class MlflowRegistry:
    """MLflow's registry, with the artifacts through the tracking server's own proxy."""

    def __init__(self, url: str, authorization: str | None = None) -> None:
        """Talk to the tracking server at this address, with this header; nothing is sent yet."""
        # The registry is a neighbour: a proxy that the machine uses for the internet is not asked.
        direct = {"http://": None, "https://": None}
        self._url = url
        self._host = urlsplit(url).netloc
        self._has_account = authorization is not None
        headers = {} if authorization is None else {"Authorization": authorization}
        self._client = httpx.AsyncClient(
            base_url=url, timeout=_SECONDS, mounts=direct, headers=headers
        )

    async def named(self) -> dict[str, Named]:
        """Return the named versions of every followed name; one request per 1000 models."""
        found: dict[str, Named] = {}
        query = {"filter": f"tags.`{SPEC_TAG}` LIKE '%'", "max_results": "1000"}
        while True:
            page = await self._json("/registered-models/search", query)
            for model in page.get("registered_models", []):
                found[model["name"]] = _named(model)
            if not page.get("next_page_token"):
                return found
            query["page_token"] = page["next_page_token"]

    async def digest(self, name: str, version: str) -> str:
        """Return the digest that the registration recorded on a version."""
        answer = await self._json("/model-versions/get", {"name": name, "version": version})
        tags = {tag["key"]: tag["value"] for tag in answer["model_version"].get("tags", [])}
        if DIGEST_TAG not in tags:
            raise RegistryError(
                f"version {version} of {name} has no tag {DIGEST_TAG}: it was not registered by "
                "the pipeline, so nothing proves which files it is made of"
            )
        return str(tags[DIGEST_TAG])

    async def fetch(self, name: str, version: str, folder: Path) -> None:
        """Download the two bundle files of a version."""
        question = {"name": name, "version": version}
        answer = await self._json("/model-versions/get-download-uri", question)
        root = _artifact_path(answer["artifact_uri"])
        for file in (MANIFEST_FILE, MODEL_FILE):
            await self._download(f"{_PROXY}{quote(root)}/{file}", folder / file)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _json(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        try:
            answer = await self._client.get(_API + path, params=query)
            self._require_ok(answer, path, answer.text)
            parsed = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryError(self._problem(path, error)) from error
        if not isinstance(parsed, dict):
            raise RegistryError(self._problem(path, "it answered no JSON object"))
        return parsed

    async def _download(self, path: str, target: Path) -> None:
        try:
            async with self._client.stream("GET", path) as answer:
                self._require_ok(answer, path)
                with await asyncio.to_thread(target.open, "wb") as file:
                    async for chunk in answer.aiter_bytes(_CHUNK_BYTES):
                        await asyncio.to_thread(file.write, chunk)
        except httpx.HTTPError as error:
            raise RegistryError(self._problem(path, error)) from error

    def _require_ok(self, answer: httpx.Response, path: str, said: str = "") -> None:
        if answer.status_code != httpx.codes.OK:
            reason = f"it answered {answer.status_code}{self._advice(answer.status_code, said)}"
            raise RegistryError(self._problem(path, reason))

    def _advice(self, status: int, said: str) -> str:
        """Return what an operator can do about a status that is about who asks, and how."""
        if status == httpx.codes.FORBIDDEN and _WRONG_HOST in said:
            # Under a name of a container network, MLflow takes a stranger for an attack.
            return f", it does not go by that name: start MLflow with --allowed-hosts {self._host}"
        if status == httpx.codes.FORBIDDEN:
            return ", this account may not read it: give the account the permission READ on it"
        if status != httpx.codes.UNAUTHORIZED:
            return ""
        if self._has_account:
            return f", it does not know this account or its secret: check {_ACCOUNT}"
        return f", it asks for an account: set {_ACCOUNT}"

    def _problem(self, path: str, reason: object) -> str:
        why = str(reason) or type(reason).__name__
        return f"the registry at {self._url} did not give {path}: {why}"


def _named(model: dict[str, Any]) -> Named:
    aliases = {alias["alias"]: str(alias["version"]) for alias in model.get("aliases", [])}
    return {role: aliases[role] for role in Role if role in aliases}


def _artifact_path(uri: str) -> str:
    """Return the path below the tracking server's artifact proxy that an artifact URI names."""
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts":
        return parts.path.strip("/")
    if parts.scheme in {"http", "https"} and _PROXY in parts.path:
        return parts.path.partition(_PROXY)[2].strip("/")
    raise RegistryError(
        f"the files are at {uri}, which the registry does not hand out: start the MLflow server "
        "with --artifacts-destination (and --serve-artifacts), then register the model again"
    )
