"""The registry contract: the fake and a real MLflow server answer alike."""

import asyncio
import socket
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from serving.bundle import load
from serving.bundle.registered import Role
from serving.registry.interface import (
    AliasedVersions,
    Registry,
    RegistryError,
    UnprovenError,
    VersionGoneError,
)
from serving.registry.registry import MlflowRegistry
from tests.serving.conftest import Save
from tests.serving.registries import Publisher, free_port

T = TypeVar("T")


def versions_in(named: AliasedVersions | RegistryError) -> dict[Role, str]:
    """Return the versions that the aliases of a model name."""
    assert isinstance(named, AliasedVersions)
    return dict(named.versions)


@pytest.fixture
def name() -> str:
    """Return a model name that no other test uses, awkward in an address."""
    return f"boxes & {uuid.uuid4().hex[:8]}"


def test_follows_what_carries_the_tag(publisher: Publisher, save_bundle: Save, name: str) -> None:
    """Only tagged models are followed, each with the versions that the four aliases name."""
    publisher.register(name)
    publisher.register(f"{name} of others", is_ours=False)

    async def asked(registry: Registry) -> None:
        named = await registry.named()
        assert versions_in(named[name]) == {}
        assert f"{name} of others" not in named
        versions = [publisher.publish(name, *save_bundle(name=name)) for _ in range(2)]
        for version in [*versions, versions[0], None]:
            publisher.crown(name, version)
            expected = {Role.CHAMPION: version} if version else {}
            assert versions_in((await registry.named())[name]) == expected
        for role in Role:
            publisher.crown(name, versions[1], role)
        assert versions_in((await registry.named())[name]) == dict.fromkeys(Role, versions[1])

    _asking(publisher.registry, asked)


def test_a_version_arrives_whole(
    publisher: Publisher, save_bundle: Save, name: str, tmp_path: Path
) -> None:
    """What is fetched opens with the digest that the registry recorded."""
    publisher.register(name)
    version = publisher.publish(name, *save_bundle(name=name))

    async def asked(registry: Registry) -> str:
        await registry.fetch(name, version, tmp_path)
        return (await registry.identity(name, version)).digest

    assert load(tmp_path, _asking(publisher.registry, asked)).manifest.name == name


def test_what_is_not_there_is_said(
    publisher: Publisher, save_bundle: Save, name: str, tmp_path: Path
) -> None:
    """A version that does not exist and one without a digest are sentences, not crashes."""
    publisher.register(name)
    bare = publisher.publish(name, save_bundle(name=name)[0], None)

    async def asked(registry: Registry) -> None:
        with pytest.raises(UnprovenError, match=r"ratchet\.digest"):
            await registry.identity(name, bare)
        with pytest.raises(VersionGoneError):
            await registry.identity(name, "99")
        with pytest.raises(RegistryError):
            await registry.fetch(name, "99", tmp_path)

    _asking(publisher.registry, asked)
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_given_twice_is_two_versions(
    publisher: Publisher, save_bundle: Save, name: str
) -> None:
    """A model that is made again has another stamp, and its version 1 another identity.

    The same holds when a version was deleted in between, whatever number the next one gets.
    """

    async def asked(registry: Registry) -> None:
        seen = []
        for _ in range(2):
            publisher.register(name)
            publisher.crown(name, publisher.publish(name, *save_bundle(name=name)))
            named = (await registry.named())[name]
            assert isinstance(named, AliasedVersions)
            assert versions_in(named) == {Role.CHAMPION: "1"}
            seen.append((named.stamp, await registry.identity(name, "1")))
            publisher.delete(name)
            assert name not in await registry.named()
        assert seen[0][0] != seen[1][0]
        assert seen[0][1].source != seen[1][1].source

    _asking(publisher.registry, asked)


def test_with_a_version_its_alias_is_gone(
    publisher: Publisher, save_bundle: Save, name: str
) -> None:
    """A deleted champion is named no more, and asking for it says that it is gone."""
    publisher.register(name)
    publisher.crown(name, publisher.publish(name, *save_bundle(name=name)))

    async def asked(registry: Registry) -> None:
        before = (await registry.named())[name]
        publisher.delete(name, "1")
        after = (await registry.named())[name]
        assert versions_in(after) == {}
        assert isinstance(before, AliasedVersions)
        assert isinstance(after, AliasedVersions)
        assert before.stamp != after.stamp
        with pytest.raises(VersionGoneError, match="version 1"):
            await registry.identity(name, "1")

    _asking(publisher.registry, asked)


@pytest.mark.parametrize("path", ["", "/elsewhere"], ids=["nobody listens", "no registry"])
def test_a_registry_that_is_not_there_is_said(mlflow_url: str, path: str) -> None:
    """An address that does not answer, or not as a registry, gives a sentence that names it."""
    url = f"{mlflow_url}{path}" if path else f"http://127.0.0.1:{free_port()}"

    async def asked(registry: Registry) -> None:
        with pytest.raises(RegistryError, match=f"{url} did not give"):
            await registry.named()

    _asking(MlflowRegistry(url), asked)


def test_a_name_that_the_registry_does_not_go_by_is_said(
    mlflow_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow refuses a name that it was not started with; the sentence says how to allow it."""
    resolved = socket.getaddrinfo

    def as_in_a_network_of_containers(host: Any, *rest: Any, **more: Any) -> Any:
        return resolved("127.0.0.1" if host in ("mlflow", b"mlflow") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", as_in_a_network_of_containers)
    port = mlflow_url.rpartition(":")[2]

    async def asked(registry: Registry) -> None:
        with pytest.raises(RegistryError, match=f"--allowed-hosts mlflow:{port}$"):
            await registry.named()

    _asking(MlflowRegistry(f"http://mlflow:{port}"), asked)


def _asking(registry: Registry, question: Callable[[Registry], Coroutine[Any, Any, T]]) -> T:
    async def closing() -> T:
        try:
            return await question(registry)
        finally:
            await registry.close()

    return asyncio.run(closing())
