"""A registry that drips, floods or answers nonsense delays nobody, and is told of in a sentence."""

import asyncio
import gzip
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.bundle.registered import Role
from serving.models.holder import Holder
from serving.registry.bounded_requests import Bounds
from serving.registry.interface import RegistryError
from serving.registry.local_copies import LocalCopies
from serving.registry.registry import MlflowRegistry
from serving.registry.watch import Watch
from tests.logs import records_of
from tests.serving import misbehaving as bad
from tests.serving.conftest import Save
from tests.serving.misbehaving import Answer, Misbehaving, misbehaving

pytestmark = pytest.mark.asyncio
SOON = Bounds(
    seconds=1.0,
    answer_bytes=2**20,
    most_pages=5,
    grace_seconds=1.0,
    bytes_a_second=2**20,
    download_seconds=3.0,
    model_bytes=2**22,
)
LATE_SECONDS = 20.0
"""Far over what the bounds allow, on a busy machine."""


@pytest.fixture
def registry() -> Iterator[Misbehaving]:
    """Return a registry that behaves until a test says otherwise."""
    with misbehaving() as running:
        yield running


class Following:
    """A server's parts that follow a registry, and what they have."""

    def __init__(self, url: str, home: Path) -> None:
        """Ask with bounds that a test can wait for."""
        self.registry = MlflowRegistry(url, bounds=SOON)
        self.holder = Holder()
        self.watch = Watch(self.registry, self.holder, LocalCopies(home))

    def serves(self) -> dict[str, str]:
        """Return the champions by name."""
        return {held.name: held.version for held in self.holder.loaded()}

    def reason(self, name: str) -> str:
        """Return why a model has no other champion."""
        refusal = self.holder.refusal(name)
        return refusal.reason if refusal else ""


async def coming(holds: Callable[[], bool]) -> None:
    """Return when something holds."""
    while not holds():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.02)


def looped(request: bad.Handler) -> None:
    """Name one next page again and again."""
    bad.said(request, {"registered_models": [], "next_page_token": "again"})


def endless(request: bad.Handler) -> None:
    """Name another next page each time."""
    bad.said(request, {"next_page_token": str(time.monotonic())})


def answering(body: Any, status: int = 200, **headers: str) -> Answer:
    """Return what answers with these bytes, or with JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda request: request.body(content, status, **headers)


Case = tuple[Answer, str]
WAITS = frozenset({"drips", "drips headers", "is silent", "fails and drips", "floods in crumbs"})
"""Cases in which the bounds are waited for."""


def cases(listed: dict[str, Case]) -> list[Any]:
    """Return cases as parameters of a test, those that wait as long ones."""
    return [
        pytest.param(case, id=name, marks=[pytest.mark.long] if name in WAITS else [])
        for name, case in listed.items()
    ]


LISTS: dict[str, Case] = {
    "drips": (bad.drip, "within 1 s"),
    "drips headers": (bad.drip_headers, "within 1 s"),
    "is silent": (bad.silence, "within 1 s"),
    "floods": (bad.flood, "over 1 MiB"),
    "floods in crumbs": (bad.crumbs, "over 1 MiB|within 1 s"),
    "announces a flood": (lambda request: request.begin(content_length="9" * 12), "over 1 MiB"),
    "announces nonsense": (lambda request: request.begin(content_length="-1"), "no HTTP"),
    "is a bomb": (
        answering(gzip.compress(b" " * 2**24), content_encoding="gzip"),
        "compressed",
    ),
    "goes in circles": (looped, "in circles"),
    "has no last page": (endless, "over 5 pages"),
    "is a web page": (answering(b"<html>hello</html>"), "another form"),
    "is empty": (answering(b""), "another form"),
    "is null": (answering(None), "another form"),
    "is a list": (answering([{}]), "another form"),
    "is nested deeply": (
        answering(b'{"registered_models": ' + b"[" * 400_000 + b"]" * 400_000 + b"}"),
        "too deeply|another form",
    ),
    "has an object for a list": (answering({"registered_models": {"a": 1}}), "another form"),
    "has a token that is none": (answering({"next_page_token": [1]}), "another form"),
    "has a token of any length": (answering({"next_page_token": "x" * 10_000}), "in circles"),
    "is no UTF-8": (answering(b'{"registered_models": [{"name": "\xff\xfe"}]'), "another form"),
    "is another's": (
        answering(b"", 302, location="http://127.0.0.1:1/"),
        "302, which is no answer",
    ),
    "fails at length": (answering(b"x" * 2**22, 500), "it answered 500$"),
    "fails and drips": (
        bad.fail_and_drip,
        "within 1 s",
    ),
    "is no HTTP": (lambda request: request.wfile.write(b"\x00\xff" * 99), "no HTTP"),
    "breaks off": (lambda request: request.begin(content_length="99"), "no HTTP, or breaks off"),
}


@pytest.mark.parametrize("case", cases(LISTS))
async def test_a_list_that_is_none_is_a_sentence_in_time(
    registry: Misbehaving,
    save_bundle: Save,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    case: Case,
) -> None:
    """What answers goes on; the reason is told once, in a line, and its end once."""
    following = Following(registry.url, tmp_path / "home")
    registry.publish("boxes", *save_bundle())
    await following.watch.poll()
    assert following.serves() == {"boxes": "1"}
    caplog.clear()
    registry.instead[bad.SEARCH], sentence = case
    async with asyncio.timeout(LATE_SECONDS):
        with pytest.raises(RegistryError, match=sentence) as caught:
            await following.registry.named()
        await following.watch.poll()
        await following.watch.poll()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert following.serves() == {"boxes": "1"}
    (line,) = [one for one in records_of(caplog, "serving") if one.levelno >= logging.WARNING]
    assert line.exc_info is None
    registry.instead.clear()
    await following.watch.poll()
    assert following.holder.registry_problem is None
    await following.registry.close()


ODD_VERSIONS: tuple[Any, ...] = (None, "", "abc", "../../boxes", "1/../1", "\x001", [1], {}, 1.5)
ODD_MODELS: list[Any] = [
    *(None, 1, "boxes", [], {}, {"name": None}, {"name": ""}, {"name": "a\x00b"}),
    *({"name": "x" * 999}, {"name": "\u202eesrever"}, {"name": "../../etc/passwd\n"}),
    {"name": "crates", "aliases": None},
    {"name": "crates", "aliases": {"champion": "1"}},
    {"name": "crates", "aliases": [[]]},
    *(
        {"name": "crates", "aliases": [{"alias": "champion", "version": version}]}
        for version in (*ODD_VERSIONS, True, -1)
    ),
    {"name": "crates", "aliases": [{"alias": "champion", "version": "9" * 2000}]},
    {"name": "..", "aliases": [{"alias": "champion", "version": "1"}]},
]


async def test_a_model_that_is_described_oddly_is_its_own_trouble(
    registry: Misbehaving, save_bundle: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others of the same list are followed, nothing leaves the home, each line is printable."""
    for place, odd in enumerate(ODD_MODELS):
        home = tmp_path / str(place) / "home"
        following = Following(registry.url, home)
        registry.publish("boxes", *save_bundle())
        registry.models = [odd, *registry.models, odd]
        caplog.clear()
        for _ in range(2):
            await following.watch.poll()
        assert following.serves() == {"boxes": "1"}, odd
        assert following.holder.registry_problem is None
        assert list((tmp_path / str(place)).iterdir()) == [home]
        assert len(list(home.glob("boxes/1-*/bundle.json"))) == 1
        told = [one for one in records_of(caplog, "serving") if one.levelno >= logging.WARNING]
        assert len(told) == 1, [one.getMessage() for one in told]
        assert told[0].getMessage().isprintable()
        assert told[0].exc_info is None
        registry.models = []
        await following.registry.close()


DOWNLOADS: dict[str, Case] = {
    "drips": (bad.drip, "too slowly"),
    "is silent": (bad.silence, "too slowly"),
    "floods": (bad.flood, "over .* MiB"),
    "floods in crumbs": (bad.crumbs, "too slowly|over .* MiB"),
    "announces a flood": (lambda request: request.begin(content_length="9" * 12), "over .* MiB"),
    "is a bomb": (answering(gzip.compress(b" " * 2**24), content_encoding="gzip"), "compressed"),
    "is not there": (answering(b"", 404), "it answered 404"),
    "breaks off": (lambda request: request.begin(content_length="99"), "breaks off"),
    "is another file": (answering(b"x"), "the registry recorded"),
}


@pytest.mark.parametrize("case", cases(DOWNLOADS))
@pytest.mark.parametrize("file", ["bundle.json", "model.joblib"])
async def test_a_download_that_never_comes_delays_no_other_model(
    registry: Misbehaving,
    save_bundle: Save,
    tmp_path: Path,
    case: Case,
    file: str,
) -> None:
    """Another model answers meanwhile, looks go on, and the download ends with a sentence."""
    registry.publish("arks", *save_bundle(name="arks"))
    registry.instead[f"{bad.FILES}arks/1/{file}"], sentence = case
    following = Following(registry.url, tmp_path / "home")
    running = asyncio.ensure_future(following.watch.run(0.05))
    async with asyncio.timeout(LATE_SECONDS):
        await following.watch.first_look(0.2)
        registry.publish("boxes", *save_bundle())
        await coming(lambda: following.serves() == {"boxes": "1"})
        await coming(lambda: bool(following.reason("arks")))
    reason = following.reason("arks")
    assert re.search(sentence, reason), reason
    assert reason.isprintable()
    assert not list((tmp_path / "home" / "arks").glob("1/*"))
    running.cancel()
    await asyncio.wait({running})
    assert not list((tmp_path / "home" / "arks").glob(".download-*"))


@pytest.mark.parametrize(
    "answer",
    [
        *(answering(one) for one in ({}, {"model_version": None}, {"model_version": {"tags": 1}})),
        answering({"model_version": {"tags": [{"key": "ratchet.digest", "value": "\x1b[31m"}]}}),
        answering({"model_version": {"tags": [{"key": "ratchet.digest", "value": None}]}}),
        pytest.param(bad.drip, marks=pytest.mark.long),
        *(answering(b"<html>"), answering([])),
    ],
)
async def test_a_version_that_is_described_oddly_is_refused_and_its_copy_kept(
    registry: Misbehaving, save_bundle: Save, tmp_path: Path, answer: Answer
) -> None:
    """A server that starts then serves the copy that it has, for nothing speaks against it."""
    registry.publish("boxes", *save_bundle())
    first = Following(registry.url, tmp_path)
    await first.watch.poll()
    registry.instead[bad.VERSION] = answer
    again = Following(registry.url, tmp_path)
    async with asyncio.timeout(LATE_SECONDS):
        await again.watch.poll()
    assert again.serves() == {"boxes": "1"}
    assert again.reason("boxes").isprintable()
    assert again.reason("boxes")
    for one in (first, again):
        await one.registry.close()


@pytest.mark.parametrize(
    "uri",
    [
        *(None, 1, "", "mlflow-artifacts:/a/../../api", "http://[", "file:///etc/passwd"),
        "s3://bucket/\x1b[31m",
    ],
)
async def test_files_at_an_odd_place_are_not_asked_for(
    registry: Misbehaving, save_bundle: Save, tmp_path: Path, uri: object
) -> None:
    """The place is refused with a sentence."""
    registry.publish("boxes", *save_bundle())
    registry.instead[bad.PLACE] = answering({"artifact_uri": uri})
    following = Following(registry.url, tmp_path)
    await following.watch.poll()
    assert not following.serves()
    assert following.reason("boxes").isprintable()
    assert following.holder.refusals("boxes")[Role.CHAMPION].kind == "registry"
    await following.registry.close()


@pytest.mark.parametrize("path", [bad.SEARCH, bad.FILES, bad.VERSION])
async def test_at_the_start_the_last_good_copy_answers_while_the_registry_drips(
    registry: Misbehaving,
    save_bundle: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """Whatever it is that does not come, what can be served is served soon, and then replaced."""
    monkeypatch.setattr("serving.registry.last_champions.FALL_BACK_SECONDS", 0.2)
    registry.publish("boxes", *save_bundle())
    first = Following(registry.url, tmp_path)
    await first.watch.poll()
    registry.publish("boxes", *save_bundle(), version="2")
    usual = registry.find(f"{path}boxes/2/" if path == bad.FILES else path)
    registry.instead[path] = bad.later(0.9, usual)
    again = Following(registry.url, tmp_path)
    running = asyncio.ensure_future(again.watch.run(0.05))
    versions = list[str]()
    async with asyncio.timeout(LATE_SECONDS):
        while versions[-1:] != ["2"]:
            served = again.serves().get("boxes")
            if served and versions[-1:] != [served]:
                versions.append(served)
            await asyncio.sleep(0.01)
    assert versions == ["1", "2"]
    running.cancel()
    await asyncio.wait({running})
    await first.registry.close()


async def test_a_shadow_that_drips_does_not_delay_the_champion_of_its_model(
    registry: Misbehaving, save_bundle: Save, tmp_path: Path
) -> None:
    """Versions of one model are opened side by side; one that is named no more is given up."""
    registry.publish("boxes", *save_bundle(), version="1")
    champion, shadow = registry.models[0]["aliases"][0], {"alias": "shadow", "version": "9"}
    registry.instead[f"{bad.FILES}boxes/9/"] = bad.drip
    registry.publish("boxes", *save_bundle(), version="9")
    registry.publish("boxes", *save_bundle(), version="2")
    registry.models[0]["aliases"] = [champion, shadow]
    following = Following(registry.url, tmp_path)
    running = asyncio.ensure_future(following.watch.run(0.05))
    async with asyncio.timeout(LATE_SECONDS):
        await coming(lambda: following.serves() == {"boxes": "1"})
        registry.models[0]["aliases"] = [{"alias": "champion", "version": "2"}, shadow]
        await coming(lambda: following.serves() == {"boxes": "2"})
        registry.models[0]["aliases"] = [{"alias": "champion", "version": "2"}]
        await following.watch.poll()
    assert following.holder.refusals("boxes") == {}
    assert not list((tmp_path / "boxes").glob(".download-*"))
    running.cancel()
    await asyncio.wait({running})


async def test_a_flood_of_crumbs_leaves_others_their_turn(
    registry: Misbehaving, tmp_path: Path
) -> None:
    """While it is taken in, the loop that answers requests goes round."""
    registry.instead[bad.SEARCH] = bad.crumbs
    following = Following(registry.url, tmp_path)
    looking = asyncio.ensure_future(following.watch.poll())
    rounds = 0
    while not looking.done():
        await asyncio.sleep(0.001)
        rounds += 1
    assert rounds > 20
    await following.registry.close()
