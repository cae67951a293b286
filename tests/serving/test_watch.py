"""Following champions: new before old, reasons kept, copies used, nothing ever taken down."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import FixedThresholdClassifier

from serving.bundle.registered import Role
from serving.models.holder import Holder
from serving.registry.local_copies import LocalCopies
from serving.registry.watch import Watch
from tests.logs import messages_of
from tests.serving.conftest import Save, constant
from tests.serving.parts import app_around
from tests.serving.registries import FakeRegistry, damage

pytestmark = pytest.mark.asyncio
ROW = {"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}

SILENT = constant(0.5)
SILENT.class_prior_ = np.array([np.nan, np.nan])


class Stand:
    """A watch on a fake registry, with a clock that a test moves."""

    def __init__(self, home: Path, registry: FakeRegistry | None = None) -> None:
        """Put a server's parts together on a home that may have been used before."""
        self.home = home
        self.registry = registry or FakeRegistry()
        self.holder = Holder()
        self.now = 0.0
        self.watch = Watch(self.registry, self.holder, LocalCopies(home), clock=lambda: self.now)

    async def look(self) -> str | None:
        """Let the watch look once and return the version that answers then."""
        await self.watch.poll()
        held = self.holder.find("boxes")
        return held.version if held else None

    def crown(self, folder: Path, digest: str | None) -> str:
        """Publish a bundle and make it champion."""
        version = self.registry.publish("boxes", folder, digest)
        self.registry.crown("boxes", version)
        return version

    def problem(self) -> str | None:
        """Return why the registry cannot be followed, if so."""
        return self.holder.registry_problem

    def digest(self) -> str:
        """Return the digest of the champion that answers."""
        held = self.holder.find("boxes")
        return held.digest if held else ""

    def reason(self) -> str:
        """Return why the champion is not the one that answers."""
        refusal = self.holder.refusal("boxes")
        return refusal.reason if refusal else ""


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    """Return a server's parts on an empty home, with one model registered."""
    stand = Stand(tmp_path / "home")
    stand.registry.register("boxes")
    return stand


async def test_follows_the_alias_both_ways(stand: Stand, save_bundle: Save) -> None:
    """A first champion, a newer one and the way back each answer after one look."""
    assert await stand.look() is None
    first = stand.crown(*save_bundle())
    assert await stand.look() == first
    second = stand.crown(*save_bundle())
    assert await stand.look() == second
    stand.registry.crown("boxes", first)
    assert await stand.look() == first
    assert stand.registry.fetched == [("boxes", first), ("boxes", second)]


async def test_a_damaged_champion_never_answers(stand: Stand, save_bundle: Save) -> None:
    """A bundle that is not what was registered is refused; the old version answers on."""
    first = stand.crown(*save_bundle())
    await stand.look()
    folder, digest = save_bundle()
    stand.crown(folder, digest)
    damage(folder, threshold=0.0)
    assert await stand.look() == first
    assert "registry recorded" in stand.reason()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "crates"}, "registered as 'boxes'"),
        ({"example": ((1.0,), (2.0,))}, "a row has 1 values for 3 features"),
        ({"model": RandomForestClassifier()}, "not fitted"),
        ({"model": SILENT}, "probability nan"),
    ],
    ids=["another model's", "examples of another width", "not fitted", "no probability"],
)
async def test_a_champion_that_cannot_answer_is_refused(
    stand: Stand, save_bundle: Save, changes: dict[str, Any], reason: str
) -> None:
    """A model has to answer its own example rows before it answers anybody else's."""
    assert stand.crown(*save_bundle(**changes)) == "1"
    assert await stand.look() is None
    assert reason in stand.reason()


async def test_a_broken_version_is_not_tried_every_second(
    stand: Stand, save_bundle: Save, caplog: pytest.LogCaptureFixture
) -> None:
    """Attempts at one version come further and further apart, and the log tells of them once.

    Another version is tried at once.
    """
    stand.crown(save_bundle()[0], "0" * 64)
    for second in range(200):
        stand.now = float(second)
        await stand.look()
    refused = [said for said in messages_of(caplog, "serving") if "refused" in said]
    assert 5 <= len(stand.registry.fetched) <= 9
    assert len(refused) == 1
    good = stand.crown(*save_bundle())
    assert await stand.look() == good
    assert stand.reason() == ""


async def test_a_version_that_heals_is_taken(stand: Stand, save_bundle: Save) -> None:
    """A download that failed is tried again and then answers."""
    folder, digest = save_bundle()
    hidden = folder.rename(folder.with_name("hidden"))
    version = stand.crown(folder, digest)
    assert await stand.look() is None
    hidden.rename(folder)
    assert await stand.look() is None
    stand.now += 2.0
    assert await stand.look() == version


async def test_a_registry_that_goes_takes_nothing_down(
    stand: Stand, save_bundle: Save, caplog: pytest.LogCaptureFixture
) -> None:
    """While the registry is away the champion answers; the log says so once and when it is back."""
    caplog.set_level(logging.INFO)
    version = stand.crown(*save_bundle())
    await stand.look()
    caplog.clear()
    stand.registry.problem = "connection refused"
    for _ in range(5):
        assert await stand.look() == version
    assert stand.problem() == "connection refused"
    assert messages_of(caplog, "serving") == [f"connection refused; still serving: boxes {version}"]
    stand.registry.problem = None
    await stand.look()
    assert stand.problem() is None
    assert len(messages_of(caplog, "serving")) == 2


async def test_an_alias_that_is_removed_takes_nothing_down(stand: Stand, save_bundle: Save) -> None:
    """Without an alias the last champion answers and the reason can be read."""
    version = stand.crown(*save_bundle())
    await stand.look()
    stand.registry.crown("boxes", None)
    assert await stand.look() == version
    assert "names no champion" in stand.reason()
    stand.registry.crown("boxes", version)
    await stand.look()
    assert stand.reason() == ""


async def test_a_model_made_again_is_another_one(stand: Stand, save_bundle: Save) -> None:
    """The same number of another bundle is loaded, checked and swapped in; the old one is no more.

    While it is not named yet, and when it is no good, the old one keeps answering.
    """
    assert stand.crown(*save_bundle(constant(0.1))) == "1"
    assert await stand.look() == "1"
    old = stand.holder.find("boxes")
    assert old is not None
    stand.registry.delete("boxes")
    stand.registry.register("boxes")
    await stand.look()
    assert stand.holder.find("boxes") is old
    folder, digest = save_bundle(constant(0.9))
    damage(folder, threshold=0.0)
    assert stand.crown(folder, digest) == "1"
    await stand.look()
    assert stand.holder.find("boxes") is old
    assert "registry recorded" in stand.reason()
    again = Stand(stand.home, stand.registry)
    await again.look()
    assert again.digest() == old.digest
    stand.registry.delete("boxes")
    stand.registry.register("boxes")
    folder, digest = save_bundle(constant(0.9))
    assert stand.crown(folder, digest) == "1"
    for one in (stand, again):
        await one.look()
        assert one.digest() == digest
        assert one.reason() == ""
    after = Stand(stand.home, stand.registry)
    stand.registry.problem = "connection refused"
    await after.look()
    assert after.digest() == digest


async def test_a_challenger_of_an_old_number_is_not_the_champion_of_that_number(
    stand: Stand, save_bundle: Save
) -> None:
    """Version 1 of the model made again is tried beside the champion that was version 1 before."""
    stand.crown(*save_bundle(constant(0.1)))
    await stand.look()
    old = stand.holder.find("boxes")
    stand.registry.delete("boxes")
    stand.registry.register("boxes")
    folder, digest = save_bundle(constant(0.9))
    stand.registry.crown("boxes", stand.registry.publish("boxes", folder, digest), Role.CHALLENGER)
    await stand.look()
    assert stand.holder.find("boxes") is old
    assert stand.holder.take("boxes", "1").digest == digest


async def test_what_is_held_is_not_loaded_again_when_the_model_gets_a_version(
    stand: Stand, save_bundle: Save
) -> None:
    """A new version and the deletion of another change nothing for the champion."""
    first = stand.crown(*save_bundle())
    await stand.look()
    held = stand.holder.find("boxes")
    second = stand.registry.publish("boxes", *save_bundle())
    assert await stand.look() == first
    stand.registry.delete("boxes", second)
    assert await stand.look() == first
    assert stand.holder.find("boxes") is held
    assert stand.registry.fetched == [("boxes", first)]


async def test_a_bundle_that_was_replaced_with_its_digest_is_noticed(
    stand: Stand, save_bundle: Save
) -> None:
    """A tag that was changed leaves no trace in the list; it is asked for again within a minute."""
    folder, digest = save_bundle(constant(0.1))
    stand.crown(folder, digest)
    await stand.look()
    other, digest = save_bundle(constant(0.9))
    stand.registry.replace("boxes", "1", other, digest)
    for _ in range(3):
        stand.now += 25.0
        await stand.look()
    assert stand.digest() == digest


async def test_a_deleted_champion_keeps_answering_and_is_told_of_once(
    stand: Stand, save_bundle: Save, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after a restart, which serves the server's own copy; a model that is gone is dropped."""
    version = stand.crown(*save_bundle())
    await stand.look()
    stand.registry.delete("boxes", version)
    again = Stand(stand.home, stand.registry)
    for one in (stand, again):
        caplog.clear()
        for _ in range(4):
            await one.look()
        assert one.digest() != ""
        assert "was deleted in the registry" in one.reason()
        assert len([said for said in messages_of(caplog, "serving") if "deleted" in said]) == 1
    stand.registry.delete("boxes")
    assert await stand.look() == version
    assert await Stand(stand.home, stand.registry).look() is None


async def test_another_tools_version_is_one_sentence(
    stand: Stand, save_bundle: Save, caplog: pytest.LogCaptureFixture
) -> None:
    """A champion that nothing proves is refused once in the log, and the old one goes on."""
    first = stand.crown(*save_bundle())
    await stand.look()
    stand.crown(save_bundle()[0], None)
    for _ in range(3):
        stand.now += 5.0
        assert await stand.look() == first
    assert "ratchet.digest" in stand.reason()
    refusal = stand.holder.refusal("boxes")
    assert refusal is not None
    assert refusal.kind == "bundle"
    assert sum("refused" in one for one in messages_of(caplog, "serving")) == 1


async def test_copies_of_the_first_release_are_served(stand: Stand, save_bundle: Save) -> None:
    """A home of version 0.1.0 names its folders by number alone, and its record has no source."""
    version = stand.crown(*save_bundle())
    await stand.look()
    shelf = stand.home / "boxes"
    next(shelf.glob("1-*")).rename(shelf / "1")
    record = json.loads((shelf / "champion.json").read_text())
    del record["source"]
    (shelf / "champion.json").write_text(json.dumps(record))
    stand.registry.problem = "connection refused"
    again = Stand(stand.home, stand.registry)
    assert await again.look() == version
    stand.registry.problem = None
    held = again.holder.find("boxes")
    await again.look()
    assert again.holder.find("boxes") is held
    assert stand.registry.fetched == [("boxes", version)]


async def test_a_restart_without_the_registry_serves_the_last_good(
    stand: Stand, save_bundle: Save
) -> None:
    """A server that starts while the registry is away answers with its own verified copy."""
    stand.crown(*save_bundle())
    second = stand.crown(*save_bundle())
    await stand.look()
    again = Stand(stand.home, stand.registry)
    stand.registry.problem = "connection refused"
    assert await again.look() == second
    stand.registry.problem = None
    third = stand.crown(*save_bundle())
    assert await again.look() == third


async def test_a_restart_on_a_broken_champion_serves_the_last_good(
    stand: Stand, save_bundle: Save
) -> None:
    """A new server whose champion cannot be loaded answers with the version before, and says so."""
    first = stand.crown(*save_bundle())
    await stand.look()
    stand.crown(save_bundle()[0], "0" * 64)
    again = Stand(stand.home, stand.registry)
    assert await again.look() == first
    assert "registry recorded" in again.reason()


async def test_a_damaged_copy_is_not_served(stand: Stand, save_bundle: Save) -> None:
    """A copy that changed on the server's own disk is refused, and fetched anew when it can be."""
    version = stand.crown(*save_bundle())
    await stand.look()
    next(stand.home.glob("boxes/*/model.joblib")).write_bytes(b"nonsense")
    stand.registry.problem = "connection refused"
    again = Stand(stand.home, stand.registry)
    assert await again.look() is None
    stand.registry.problem = None
    await again.look()
    again.now += 2.0
    assert await again.look() == version


async def test_old_copies_go(stand: Stand, save_bundle: Save) -> None:
    """The current and the previous version stay on disk; older ones and torn downloads do not."""
    for _ in range(4):
        stand.crown(*save_bundle())
        await stand.look()
    torn = stand.home / "boxes" / ".download-torn"
    torn.mkdir()
    await stand.look()
    kept = (path.name for path in (stand.home / "boxes").iterdir() if path.is_dir())
    assert sorted(name.partition("-")[0] for name in kept) == ["3", "4"]


async def test_a_name_cannot_lead_out_of_the_home(stand: Stand, save_bundle: Save) -> None:
    """Whatever a model is called, its files stay below the server's home."""
    names = ["..", "a/../../b", "c\\d", ".hidden"]
    for name in names:
        stand.registry.register(name)
        stand.registry.crown(name, stand.registry.publish(name, *save_bundle(name=name)))
    await stand.look()
    assert [held.name for held in stand.holder.loaded()] == sorted(names)
    assert len(list(stand.home.iterdir())) == len(names)
    assert list(stand.home.parent.iterdir()) == [stand.home]


async def test_models_predict_on_one_thread(stand: Stand, save_bundle: Save) -> None:
    """However a model was fitted, its fitted parts start no threads of their own when served."""
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    forest = RandomForestClassifier(5, n_jobs=2)
    model = FixedThresholdClassifier(forest, threshold=0.3).fit(rows, rows[:, 0] > 0)
    stand.crown(*save_bundle(model))
    await stand.look()
    held = stand.holder.find("boxes")
    assert held is not None
    served: Any = held.bundle.model
    assert served.estimator_.n_jobs == 1


async def test_swaps_under_requests(stand: Stand, save_bundle: Save) -> None:
    """While the alias moves, every request is answered, by a version that was champion then."""
    said = {}
    for count in range(1, 13):
        probability = count / 16
        version = stand.registry.publish("boxes", *save_bundle(constant(probability)))
        said[version] = probability
    stand.registry.crown("boxes", "1")
    await stand.look()
    answered: list[str] = []

    async def ask(client: httpx.AsyncClient) -> None:
        while answered[-1:] != ["12"]:
            before = stand.holder.take("boxes").version
            answer = await client.post("/v2/models/boxes/infer", json={"inputs": [ROW]})
            after = stand.holder.take("boxes").version
            assert answer.status_code == 200
            version = answer.json()["model_version"]
            assert int(before) <= int(version) <= int(after)
            assert answer.json()["outputs"][0]["data"] == [pytest.approx(said[version])]
            answered.append(version)
            await asyncio.sleep(0.001)  # a caller on the network leaves the server some time too

    async def move() -> None:
        for version in said:
            stand.registry.crown("boxes", version)
            await stand.look()
            await asyncio.sleep(0.02)

    app = app_around(stand.holder)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://test"
    ) as client:
        await asyncio.gather(move(), *(ask(client) for _ in range(4)))
    assert set(answered) == set(said)
