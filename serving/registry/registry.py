"""Asks MLflow's registry over plain REST.

A model is followed when its registered model has the tag `ratchet.spec`. Its aliases `champion`,
`challenger`, `canary` and `shadow` name the versions to load. A version's tag `ratchet.digest` is
the digest of its bundle; digest and source identify the version, because a model that is deleted
and created again assigns its numbers a second time. The server does not need MLflow's client: four
requests suffice. A response is used only when it has the form that MLflow documents; a model with
another form is an error of that model alone.
"""

import asyncio
import re
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from serving.bundle.registered import DIGEST_TAG, MANIFEST_FILE, MODEL_FILE, SPEC_TAG, Role
from serving.registry.bounded_requests import TROUBLE, BoundedClient, Bounds, StatusError, reason
from serving.registry.interface import (
    AliasedVersions,
    RegistryError,
    UnprovenError,
    VersionGoneError,
    VersionIdentity,
)

_API = "/api/2.0/mlflow"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
_SEARCH = "/registered-models/search"
_PAGE = 200
_LONGEST_NAME, _LONGEST_TOKEN = 256, 4096
_VERSION = re.compile(r"[0-9]{1,18}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = 60
_NO_SUCH_THING = "RESOURCE_DOES_NOT_EXIST"
_WRONG_HOST = "Invalid Host header"
_ACCOUNT = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


class _Page(msgspec.Struct):
    registered_models: list[msgspec.Raw] = []
    next_page_token: str | None = None


class _Alias(msgspec.Struct):
    alias: Any = None
    version: Any = None


class _Model(msgspec.Struct):
    name: str
    # Raw, so that whatever stands here has a name to be told of.
    aliases: msgspec.Raw = msgspec.Raw(b"[]")
    creation_timestamp: Any = None
    last_updated_timestamp: Any = None


class _Tag(msgspec.Struct):
    key: str
    value: str = ""


class _Recorded(msgspec.Struct):
    tags: list[_Tag] = []
    source: str | None = None
    run_id: str | None = None


class _Version(msgspec.Struct):
    model_version: _Recorded


class _Files(msgspec.Struct):
    artifact_uri: str


_Form = TypeVar("_Form")


class MlflowRegistry:
    """MLflow's registry, with the artifacts through the tracking server's own proxy."""

    def __init__(
        self, url: str, authorization: str | None = None, bounds: Bounds | None = None
    ) -> None:
        """`url` is the tracking server, `authorization` the header of that name, if any."""
        self._url = url
        self._host = urlsplit(url).netloc
        self._has_account = authorization is not None
        self._bounds = bounds or Bounds()
        headers = {} if authorization is None else {"Authorization": authorization}
        self._asking = BoundedClient(url, headers, self._bounds)

    async def named(self) -> dict[str, AliasedVersions | RegistryError]:
        """Return the named versions of every followed name; one request per 200 models."""
        try:
            async with asyncio.timeout(self._bounds.seconds):
                return await self._pages()
        except TimeoutError as error:
            why = f"no whole list of models came within {self._bounds.seconds:g} s"
            raise RegistryError(self._problem(_SEARCH, why)) from error

    async def identity(self, name: str, version: str) -> VersionIdentity:
        """Return the digest that the registration recorded on a version, and its source."""
        if not _VERSION.fullmatch(version):
            raise UnprovenError(f"an alias of {name} names version {version}, which is no number")
        found = await self._version(name, version)
        tags = {tag.key: tag.value for tag in found.tags}
        if DIGEST_TAG not in tags:
            raise UnprovenError(
                f"version {version} of {name} has no tag {DIGEST_TAG}: it was not registered by "
                "the pipeline, so nothing proves which files it is made of"
            )
        if not _DIGEST.fullmatch(tags[DIGEST_TAG]):
            raise UnprovenError(
                f"the tag {DIGEST_TAG} of version {version} of {name} is no SHA-256 digest, so "
                "nothing proves which files it is made of"
            )
        return VersionIdentity(
            tags[DIGEST_TAG], f"{found.source or ''} of run {found.run_id or ''}"
        )

    async def fetch(self, name: str, version: str, folder: Path) -> None:
        """Download the two bundle files of a version."""
        question = {"name": name, "version": version}
        answer = await self._asked("/model-versions/get-download-uri", question, _Files)
        root = f"{_PROXY}{quote(_artifact_path(answer.artifact_uri))}"
        sizes = {MANIFEST_FILE: self._bounds.manifest_bytes, MODEL_FILE: self._bounds.model_bytes}
        for file, most_bytes in sizes.items():
            path = f"{root}/{file}"
            try:
                await self._asking.download(path, folder / file, most_bytes)
            except (StatusError, *TROUBLE) as error:
                raise self._trouble(path, error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._asking.close()

    async def _version(self, name: str, version: str) -> _Recorded:
        question, path = {"name": name, "version": version}, "/model-versions/get"
        try:
            answer = await self._asking.answer(_API + path, question)
            return _formed(answer, _Version).model_version
        except StatusError as error:
            if error.status == httpx.codes.NOT_FOUND and _NO_SUCH_THING in error.said:
                raise VersionGoneError(
                    f"the registry at {self._url} has no version {version} of {name} any more"
                ) from error
            raise self._trouble(path, error) from error
        except TROUBLE as error:
            raise self._trouble(path, error) from error
        except ValueError as error:
            raise self._no_form(path, error) from error

    async def _pages(self) -> dict[str, AliasedVersions | RegistryError]:
        found: dict[str, AliasedVersions | RegistryError] = {}
        query = {"filter": f"tags.`{SPEC_TAG}` LIKE '%'", "max_results": str(_PAGE)}
        tokens = set[str]()
        for _ in range(self._bounds.most_pages):
            page = await self._asked(_SEARCH, query, _Page)
            found.update(self._described(bytes(model)) for model in page.registered_models)
            token = page.next_page_token
            if not token:
                return found
            if token in tokens or len(token) > _LONGEST_TOKEN:
                raise RegistryError(self._problem(_SEARCH, "its list of models goes in circles"))
            tokens.add(token)
            query["page_token"] = token
        why = f"its list of models has over {self._bounds.most_pages} pages of {_PAGE}"
        raise RegistryError(self._problem(_SEARCH, why))

    def _described(self, model: bytes) -> tuple[str, AliasedVersions | RegistryError]:
        """Return the name of a listed model, and its aliases' versions or what is wrong with it."""
        try:
            name = _formed(model, _Model).name
        except ValueError:
            return "a model without a name", RegistryError(
                self._problem(_SEARCH, "a model of its list has no name")
            )
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            why = f"the name of a model is empty, too long or not printable: {_shown(name)}"
            return _shown(name), RegistryError(self._problem(_SEARCH, why))
        described = _formed(model, _Model)
        try:
            aliases = _formed(bytes(described.aliases), list[_Alias])
        except ValueError as error:
            why = f"the aliases of {name} have another form than MLflow's: {error}"
            return name, RegistryError(self._problem(_SEARCH, why))
        versions = {one.alias: one.version for one in aliases if isinstance(one.alias, str)}
        stamp = f"{_shown(described.creation_timestamp)} {_shown(described.last_updated_timestamp)}"
        named = {role: _shown(versions[role]) for role in Role if role in versions}
        return name, AliasedVersions(named, stamp)

    async def _asked(self, path: str, query: dict[str, str], form: type[_Form]) -> _Form:
        try:
            return _formed(await self._asking.answer(_API + path, query), form)
        except (StatusError, *TROUBLE) as error:
            raise self._trouble(path, error) from error
        except ValueError as error:
            raise self._no_form(path, error) from error

    def _no_form(self, path: str, error: ValueError) -> RegistryError:
        why = f"its answer has another form than MLflow's: {error}"
        return RegistryError(self._problem(path, why))

    def _trouble(self, path: str, error: Exception) -> RegistryError:
        why = reason(error)
        if isinstance(error, StatusError):
            why += self._advice(error.status, error.said)
        return RegistryError(self._problem(path, why))

    def _advice(self, status: int, said: str) -> str:
        """Return what an operator can do about an HTTP status for access or for the address."""
        if status == httpx.codes.FORBIDDEN and _WRONG_HOST in said:
            # Under a name of a container network, MLflow takes a stranger for an attack.
            return f", it does not go by that name: start MLflow with --allowed-hosts {self._host}"
        if status == httpx.codes.FORBIDDEN:
            return ", this account may not read it: give the account the permission READ on it"
        if httpx.codes.is_redirect(status):
            return ", which is no answer but another address: set SERVING_REGISTRY_URL to that one"
        if status != httpx.codes.UNAUTHORIZED:
            return ""
        if self._has_account:
            return f", it does not know this account or its secret: check {_ACCOUNT}"
        return f", it asks for an account: set {_ACCOUNT}"

    def _problem(self, path: str, why: str) -> str:
        return f"the registry at {self._url} did not give {path}: {why}"


def _formed(answer: bytes, form: type[_Form]) -> _Form:
    """Decode JSON of a form; ValueError when it is no JSON or has another form."""
    try:
        return msgspec.json.decode(answer, type=form)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _shown(value: object) -> str:
    """Return a registry's value as text that is safe to log, cut to a bounded length."""
    text = str(value) if isinstance(value, str | int) else type(value).__name__
    text = text if text.isprintable() and text else ascii(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _artifact_path(uri: str) -> str:
    """Return the path below the tracking server's artifact proxy that an artifact URI names."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    path = ""
    if parts.scheme == "mlflow-artifacts":
        path = parts.path.strip("/")
    elif parts.scheme in {"http", "https"} and _PROXY in parts.path:
        path = parts.path.partition(_PROXY)[2].strip("/")
    if path and ".." not in path.split("/"):
        return path
    raise RegistryError(
        f"the files are at {_shown(uri)}, which the registry does not hand out: start the MLflow "
        "server with --artifacts-destination (and --serve-artifacts), then register the model again"
    )
