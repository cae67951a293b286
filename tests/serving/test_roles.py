"""Versions under four roles: each on its own, none in the way of the champion."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.bundle import Bundle
from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion
from serving.protocol import metadata
from serving.refusals import RequestRefusedError
from serving.registry.repository import Repository
from tests.serving.conftest import Open, Save, constant
from tests.serving.parts import app_around
from tests.serving.test_watch import ROW, Stand

pytestmark = pytest.mark.asyncio


@pytest.fixture
def stand(tmp_path: Path, save_bundle: Save) -> Stand:
    """Return a server's parts and three published versions, none under an alias."""
    stand = Stand(tmp_path / "home")
    stand.registry.register("boxes")
    for probability in (0.1, 0.2, 0.3):
        stand.registry.publish("boxes", *save_bundle(constant(probability)))
    return stand


def versions(stand: Stand) -> dict[str, str]:
    """Return the version under each role that is filled."""
    roles = stand.holder.lineup("boxes").roles()
    return {role.value: held.version for role, held in roles.items()}


async def eventually(is_so: Callable[[], bool]) -> None:
    """Return once something is so; fail when it is not within 20 s."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def test_each_alias_fills_its_role(stand: Stand) -> None:
    """Four aliases, three versions: the one that stands under two is fetched once."""
    for role, version in zip(Role, ("1", "2", "3", "3"), strict=True):
        stand.registry.crown("boxes", version, role)
    assert await stand.look() == "1"
    assert versions(stand) == {"champion": "1", "challenger": "2", "canary": "3", "shadow": "3"}
    assert sorted(version for _, version in stand.registry.fetched) == ["1", "2", "3"]
    lineup = stand.holder.lineup("boxes")
    assert lineup.canary is lineup.shadow


async def test_a_challenger_answers_only_by_its_number(stand: Stand) -> None:
    """Even where there is no champion yet; the name itself then says why it does not answer."""
    stand.registry.crown("boxes", "2", Role.CHALLENGER)
    await stand.look()

    transport = httpx.ASGITransport(app=app_around(stand.holder))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        by_number = await client.post(
            "/v2/models/boxes/versions/2/infer", json={"inputs": [{**ROW}]}
        )
        by_name = await client.post("/v2/models/boxes/infer", json={"inputs": [{**ROW}]})
        ready = await client.get("/v2/health/ready")
    assert by_number.json()["model_version"] == "2"
    assert by_name.status_code == 503
    assert "no champion yet" in by_name.json()["error"]
    assert ready.status_code == 503
    assert ready.json()["models"]["boxes"]["roles"]["challenger"]["version"] == "2"


async def test_a_challenger_that_wins_is_not_loaded_again(stand: Stand) -> None:
    """The swap is the very same model, with nothing asked of the registry but its aliases."""
    stand.registry.crown("boxes", "1")
    stand.registry.crown("boxes", "2", Role.CHALLENGER)
    await stand.look()
    held = stand.holder.lineup("boxes").challenger
    stand.registry.crown("boxes", "2")
    stand.registry.crown("boxes", None, Role.CHALLENGER)
    await stand.look()
    assert stand.holder.find("boxes") is held
    assert versions(stand) == {"champion": "2"}
    assert len(stand.registry.fetched) == 2
    stand.registry.problem = "connection refused"
    assert await Stand(stand.home, stand.registry).look() == "2"


async def test_two_roles_swap_their_versions(stand: Stand) -> None:
    """Champion and canary trade places without a load."""
    stand.registry.crown("boxes", "1")
    stand.registry.crown("boxes", "2", Role.CANARY)
    await stand.look()
    stand.registry.crown("boxes", "2")
    stand.registry.crown("boxes", "1", Role.CANARY)
    await stand.look()
    assert versions(stand) == {"champion": "2", "canary": "1"}
    assert len(stand.registry.fetched) == 2


async def test_what_has_no_role_is_let_go(stand: Stand) -> None:
    """A removed alias empties its role and the disk; the champion stays."""
    stand.registry.crown("boxes", "1")
    stand.registry.crown("boxes", "2", Role.SHADOW)
    await stand.look()
    stand.registry.crown("boxes", None, Role.SHADOW)
    await stand.look()
    assert versions(stand) == {"champion": "1"}
    with pytest.raises(RequestRefusedError, match="version 1 is") as refused:
        stand.holder.take("boxes", "2")
    assert refused.value.status == 404
    kept = [path.name for path in (stand.home / "boxes").iterdir() if path.is_dir()]
    assert [name.partition("-")[0] for name in kept] == ["1"]


@pytest.mark.parametrize("role", [Role.CHALLENGER, Role.CANARY, Role.SHADOW])
async def test_a_broken_version_never_touches_the_champion(
    stand: Stand, save_bundle: Save, role: Role
) -> None:
    """The champion answers, its own readiness is clean, the refusal stands under the role."""
    stand.registry.crown("boxes", "1")
    broken = stand.registry.publish("boxes", save_bundle()[0], "0" * 64)
    stand.registry.crown("boxes", broken, role)
    assert await stand.look() == "1"
    told = metadata.ready(stand.holder)["models"]["boxes"]
    assert told["ready"]
    assert list(told["refused"]) == [role.value]
    assert told["refused"][role.value]["version"] == broken
    assert "registry recorded" in told["refused"][role.value]["reason"]
    stand.registry.crown("boxes", None, role)
    await stand.look()
    assert "refused" not in metadata.ready(stand.holder)["models"]["boxes"]


async def test_a_version_that_failed_as_challenger_is_refused_as_champion(
    stand: Stand, save_bundle: Save
) -> None:
    """It is not opened again before its pause is over; the old champion answers on."""
    stand.registry.crown("boxes", "1")
    broken = stand.registry.publish("boxes", save_bundle()[0], "0" * 64)
    stand.registry.crown("boxes", broken, Role.CHALLENGER)
    await stand.look()
    stand.registry.crown("boxes", broken)
    assert await stand.look() == "1"
    assert "registry recorded" in stand.reason()
    assert [version for _, version in stand.registry.fetched].count(broken) == 1


async def test_workers_share_a_home(stand: Stand) -> None:
    """Workers that look at the same moment download each version once and all hold it."""
    stand.registry.crown("boxes", "1")
    stand.registry.crown("boxes", "2", Role.CHALLENGER)
    workers = [stand, *(Stand(stand.home, stand.registry) for _ in range(3))]
    assert await asyncio.gather(*(worker.look() for worker in workers)) == ["1"] * 4
    assert sorted(version for _, version in stand.registry.fetched) == ["1", "2"]
    stand.registry.crown("boxes", "3")
    stand.registry.crown("boxes", None, Role.CHALLENGER)
    assert await asyncio.gather(*(worker.look() for worker in workers)) == ["3"] * 4
    assert sorted(version for _, version in stand.registry.fetched) == ["1", "2", "3"]
    on_disk = {path.name for path in (stand.home / "boxes").iterdir() if path.is_dir()}
    assert {name.partition("-")[0] for name in on_disk} == {"1", "3"}
    stand.registry.problem = "connection refused"
    assert await Stand(stand.home, stand.registry).look() == "3"


async def test_a_disk_that_cannot_be_written_takes_nothing_down(
    stand: Stand, save_bundle: Save
) -> None:
    """A new version of one model is refused with the system's reason; others are followed on."""
    stand.registry.crown("boxes", "1")
    await stand.look()
    (stand.home / "crates").write_text("a file where a folder should be")
    stand.registry.register("crates")
    stand.registry.crown("crates", stand.registry.publish("crates", *save_bundle(name="crates")))
    stand.registry.crown("boxes", "2")
    assert await stand.look() == "2"
    refusal = stand.holder.refusal("crates")
    assert refusal is not None
    assert "File exists" in refusal.reason


async def test_a_poke_looks_at_once(stand: Stand) -> None:
    """From any thread, long before the pause is over."""
    following = asyncio.ensure_future(stand.watch.run(pause_seconds=3600))
    await eventually(lambda: stand.problem() is None)
    stand.registry.crown("boxes", "1")
    await asyncio.to_thread(stand.watch.poke)
    await eventually(lambda: stand.holder.find("boxes") is not None)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    assert versions(stand) == {"champion": "1"}


@pytest.fixture
def repository(stand: Stand) -> Repository:
    """Return the repository API of the stand."""
    return Repository(stand.holder, stand.watch)


async def test_the_index_lists_what_is_held_and_what_is_not(
    stand: Stand, repository: Repository, save_bundle: Save
) -> None:
    """Name, version, state and reason, in the form of MLServer's."""
    stand.registry.register("crates")
    stand.registry.crown("boxes", "1")
    broken = stand.registry.publish("boxes", save_bundle()[0], "0" * 64)
    stand.registry.crown("boxes", broken, Role.SHADOW)
    await stand.look()
    entries = await repository.index()
    assert [(one["name"], one["version"], one["state"]) for one in entries] == [
        ("boxes", "1", "READY"),
        ("boxes", broken, "UNAVAILABLE"),
        ("crates", "", "UNAVAILABLE"),
    ]
    assert "shadow: " in entries[1]["reason"]
    assert "no champion yet" in entries[2]["reason"]
    assert [one["version"] for one in await repository.index(ready=True)] == ["1"]
    stand.holder.follow({"boxes": "1", "crates": "7"})
    assert (await repository.index())[2]["state"] == "LOADING"


async def test_load_looks_now_and_says_why_not(
    stand: Stand, repository: Repository, save_bundle: Save
) -> None:
    """It returns when the model answers; refused is 400, unknown 404, without the pause between."""
    stand.registry.crown("boxes", "1")
    await repository.load("boxes")
    assert versions(stand) == {"champion": "1"}
    folder, digest = save_bundle()
    hidden = folder.rename(folder.with_name("hidden"))
    stand.crown(folder, digest)
    with pytest.raises(RequestRefusedError, match="version 4 of boxes was refused") as refused:
        await repository.load("boxes")
    assert refused.value.status == 400
    hidden.rename(folder)
    await repository.load("boxes")
    assert versions(stand) == {"champion": "4"}
    stand.registry.register("crates")
    for name, status in (("crates", 400), ("nobody", 404)):
        with pytest.raises(RequestRefusedError) as refused:
            await repository.load(name)
        assert refused.value.status == status


async def test_unloaded_stays_out_until_it_is_loaded(stand: Stand, repository: Repository) -> None:
    """Whatever the registry says meanwhile; requests, index and readiness say so."""
    stand.registry.crown("boxes", "1")
    await stand.look()
    await repository.unload("boxes")
    assert await stand.look() is None
    with pytest.raises(RequestRefusedError, match="out of service") as refused:
        stand.holder.take("boxes")
    assert refused.value.status == 503
    told = metadata.ready(stand.holder)
    assert not told["ready"]
    assert "out of service" in told["models"]["boxes"]["reason"]
    assert [one["state"] for one in await repository.index()] == ["UNAVAILABLE"]
    await repository.load("boxes")
    assert versions(stand) == {"champion": "1"}
    with pytest.raises(RequestRefusedError, match="no model 'nobody'"):
        await repository.unload("nobody")


async def test_a_load_under_way_does_not_undo_an_unload(
    stand: Stand, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that arrives after its model was taken out of service is not put into it."""
    stand.registry.crown("boxes", "1")
    await stand.look()
    fetch = stand.registry.fetch

    async def slow(name: str, version: str, folder: Path) -> None:
        await repository.unload(name)
        await fetch(name, version, folder)

    monkeypatch.setattr(stand.registry, "fetch", slow)
    stand.registry.crown("boxes", "2")
    assert await stand.look() is None


@pytest.fixture
def bundle(open_bundle: Open) -> Bundle:
    """Return an opened bundle."""
    return open_bundle()


async def test_readiness_tells_the_slowest_worker(bundle: Bundle) -> None:
    """A version is told when all hold it, until then the one before; a way back is no exception."""
    workers = [Holder(registry_problem=None) for _ in range(2)]

    def told() -> dict[str, object]:
        models = [metadata.ready(one)["models"] for one in workers]
        merged = metadata.ready(workers[0], models[1:])
        assert merged["models"] == metadata.slowest(models)
        state = merged["models"]["boxes"]
        return {"version": state["version"], "ready": merged["ready"]}

    workers[0].hold(LoadedVersion("boxes", "3", bundle))
    assert told() == {"version": None, "ready": False}
    workers[1].hold(LoadedVersion("boxes", "3", bundle))
    assert told() == {"version": "3", "ready": True}
    for version, before in (("4", "3"), ("3", "4")):
        workers[0].hold(LoadedVersion("boxes", version, bundle))
        assert told() == {"version": before, "ready": True}
        workers[1].hold(LoadedVersion("boxes", version, bundle))
        assert told() == {"version": version, "ready": True}
    workers[0].hold(LoadedVersion("boxes", "5", bundle), Role.CHALLENGER)
    models = [metadata.ready(one)["models"] for one in workers]
    assert "challenger" not in metadata.slowest(models)["boxes"]["roles"]


async def test_a_stopping_server_is_not_ready(bundle: Bundle) -> None:
    """It says that it is stopping, so that no new request is sent to it."""
    holder = Holder(registry_problem=None)
    holder.hold(LoadedVersion("boxes", "3", bundle))
    told = metadata.ready(holder, stopping=True)
    assert not told["ready"]
    assert "stopping" in told["error"]
