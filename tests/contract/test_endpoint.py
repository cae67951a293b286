"""The endpoint's client against the server itself, on a real port."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include.adapters.endpoint import Endpoint, Replica
from include.adapters.endpoint import endpoint as endpoint_module
from include.adapters.endpoint import replica as replica_module
from include.errors import EndpointError, VersionRefusedError
from include.records.training import Candidate
from include.spec.model_spec import Family
from include.stages.fit import fit
from include.stages.select import build
from serving import request
from serving.bundle import Bundle, Layout, Manifest, Value, encode, load, save
from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion, Refusal
from tests.serving import misbehaving as bad
from tests.serving.parts import app_around, on_a_port

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 2)).astype(np.float32)
LAYOUT = Layout(("height", "width"))
KEY = "sesame"
Y = (X[:, 0] > 0.5).astype(np.int8)


@pytest.fixture
def holder() -> Holder:
    """Return the holder of a server that follows nothing by itself."""
    return Holder(registry_problem=None)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Return an opened bundle called `boxes`."""
    model = fit(make_pipeline(GaussianNB()), 0.3, X, Y)
    manifest = Manifest("boxes", "naive_bayes", LAYOUT, 0.3, ("0", "1"), 3)
    return load(tmp_path, save(tmp_path, model, manifest))


@pytest.fixture
def woods(tmp_path: Path) -> Bundle:
    """Return an opened bundle called `woods`, fitted on categories and missing values."""
    layout = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height", "wood"))
    family = Family(name="regression", pipeline=("sklearn.linear_model.LogisticRegression",))
    pipeline = build(Candidate("regression", {}), family, 0, layout)
    rows = [(1.0, "oak"), (2.0, "ash"), (None, "oak"), (3.0, None)] * 10
    model = fit(pipeline, 0.5, encode(layout, rows), np.array([1, 0, 1, 0] * 10, np.int8))
    manifest = Manifest("woods", "regression", layout, 0.5, ("no", "yes"), 3, ((1.0, "oak"),))
    return load(tmp_path, save(tmp_path, model, manifest))


@pytest.fixture
def url(holder: Holder) -> Iterator[str]:
    """Return the address of a server on a free port of its own."""
    with on_a_port(app_around(holder, {"SERVING_API_KEY": KEY})) as address:
        yield address


def only(url: str, model: str) -> Replica:
    """Return the one replica that there is on loopback."""
    (replica,) = Endpoint(url, model, KEY).replicas()
    return replica


def test_it_waits_until_the_version_is_held(url: str, holder: Holder, bundle: Bundle) -> None:
    """Not before it is there, and no longer than it takes."""
    endpoint = Endpoint(url, "boxes", poll_seconds=0.02)
    later = threading.Timer(0.3, lambda: holder.hold(LoadedVersion("boxes", "4", bundle)))
    later.start()
    assert 0.2 < endpoint.wait_for("4", patience_seconds=10) < 5
    later.join()


def test_it_answers_what_the_model_answers(url: str, holder: Holder, bundle: Bundle) -> None:
    """Probabilities and labels come back in order, with the version that gave them."""
    holder.hold(LoadedVersion("boxes", "4", bundle))
    answered = only(url, "boxes").infer(LAYOUT, X.tolist())
    assert answered.version == "4"
    expected = bundle.scores(X)
    assert np.allclose(answered.outputs["probability"], expected, atol=1e-6, rtol=0)
    positive = (expected >= bundle.manifest.threshold).tolist()
    assert answered.outputs["label"] == [int(one) for one in positive]


def test_categories_and_gaps_go_through(url: str, holder: Holder, woods: Bundle) -> None:
    """Rows as they stand in the data get the answer of the model that was fitted on them laid out.

    The script that is sent to a colleague says the same.
    """
    holder.hold(LoadedVersion("woods", "1", woods))
    rows: list[tuple[Value, ...]] = [(1.0, "oak"), (None, "ash"), (2.0, None), (2.0, "teak")]
    answered = only(url, "woods").infer(woods.manifest.layout, rows).outputs["probability"]
    expected = woods.scores(encode(woods.manifest.layout, rows))
    assert np.allclose(answered, expected, atol=1e-6, rtol=0)
    assert answered[0] > 0.5 > answered[1]


def test_the_script_asks_about_categories_and_gaps(
    url: str, holder: Holder, woods: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row on the command line is what the file's row was, and the example is a real one."""
    holder.hold(LoadedVersion("woods", "1", woods))
    asking = ["--url", url, "--model", "woods", "--json", "--key", KEY]
    expected = woods.scores(encode(woods.manifest.layout, [(None, "ash"), (1.0, "oak")]))
    for arguments, probability in zip([["--row=,ash"], []], expected, strict=True):
        assert request.main(asking + arguments) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["outputs"][0]["data"] == [pytest.approx(probability, abs=1e-6)]
    assert request.main([*asking, "--row=high,ash"]) == 1
    assert "height is a number" in capsys.readouterr().err


def test_another_version_is_not_the_one_waited_for(
    url: str, holder: Holder, bundle: Bundle
) -> None:
    """After its patience the error says which version is held and where to look."""
    holder.hold(LoadedVersion("boxes", "3", bundle))
    with pytest.raises(EndpointError, match=r"should hold version 4 .* still says: 3. Look at"):
        Endpoint(url, "boxes", poll_seconds=0.02).wait_for("4", patience_seconds=0.1)


def test_a_server_that_does_not_know_the_model_is_an_error(url: str) -> None:
    """Its own sentence is passed on, when waiting and when asking."""
    with pytest.raises(EndpointError, match="still says: it knows no model circles"):
        Endpoint(url, "circles", poll_seconds=0.02).wait_for("1", patience_seconds=0.1)
    with pytest.raises(EndpointError, match="infer answered 404"):
        only(url, "circles").infer(LAYOUT, X.tolist())


def test_a_server_that_is_not_there_is_an_error() -> None:
    """Nobody listens on port 1."""
    endpoint = Endpoint("http://127.0.0.1:1", "boxes", poll_seconds=0.02)
    with pytest.raises(EndpointError, match="still says: no answer"):
        endpoint.wait_for("1", patience_seconds=0.1)


def test_a_version_under_another_role_is_asked_by_its_number(
    url: str, holder: Holder, bundle: Bundle
) -> None:
    """A challenger is waited for and asked while the champion answers to the name."""
    holder.hold(LoadedVersion("boxes", "4", bundle))
    holder.hold(LoadedVersion("boxes", "5", bundle), Role.CHALLENGER)
    assert Endpoint(url, "boxes").wait_for("5", patience_seconds=10, role=Role.CHALLENGER) < 5
    assert only(url, "boxes").infer(LAYOUT, X.tolist(), "5").version == "5"
    assert only(url, "boxes").infer(LAYOUT, X.tolist()).version == "4"


def test_a_refusal_that_stands_ends_the_wait(
    url: str, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reason is passed on long before the patience is over; a champion is waited for."""
    monkeypatch.setattr(endpoint_module, "REFUSAL_STANDS_SECONDS", 0.1)
    holder.follow({"boxes": "5"})
    for role in (Role.CHALLENGER, Role.CHAMPION):
        holder.refuse("boxes", Refusal("5", "its digest is wrong"), role)
    endpoint = Endpoint(url, "boxes", poll_seconds=0.02)
    with pytest.raises(VersionRefusedError, match="version 5 as challenger: its digest is wrong"):
        endpoint.wait_for("5", patience_seconds=60, role=Role.CHALLENGER)
    with pytest.raises(EndpointError, match=r"after 1 s do not.*refused: its digest is wrong"):
        endpoint.wait_for("5", patience_seconds=0.6)


def test_a_champion_that_is_refused_for_good_is_not_waited_for(
    url: str, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reason that lies in the version itself does not go away; one that lies elsewhere may."""
    monkeypatch.setattr(endpoint_module, "REFUSAL_STANDS_SECONDS", 0.1)
    holder.follow({"boxes": "5"})
    holder.refuse("boxes", Refusal("5", "it has no digest", "bundle"))
    endpoint = Endpoint(url, "boxes", poll_seconds=0.02)
    with pytest.raises(VersionRefusedError, match="version 5 as champion: it has no digest"):
        endpoint.wait_for("5", patience_seconds=60)
    holder.refuse("boxes", Refusal("5", "it did not give it", "registry"))
    with pytest.raises(EndpointError, match=r"after 1 s do not.*refused: it did not give it"):
        endpoint.wait_for("5", patience_seconds=0.6)


def test_another_version_of_the_same_number_is_not_the_one_waited_for(
    url: str, holder: Holder, bundle: Bundle
) -> None:
    """A registry that was made anew counts from 1 again; the digest tells the two apart."""
    holder.hold(LoadedVersion("boxes", "1", bundle, digest="a" * 64))
    endpoint = Endpoint(url, "boxes", poll_seconds=0.02)
    for digest in ("", "a" * 64):
        assert endpoint.wait_for("1", patience_seconds=5, digest=digest) < 5
    with pytest.raises(EndpointError, match="still says: 1 of another model that had that number"):
        endpoint.wait_for("1", patience_seconds=0.1, digest="b" * 64)


def test_rows_that_it_cannot_answer_are_no_absence(
    url: str, holder: Holder, bundle: Bundle
) -> None:
    """A 400 is about the rows or the model, and told apart from an endpoint that is away."""
    holder.hold(LoadedVersion("boxes", "4", bundle))
    with pytest.raises(VersionRefusedError, match="answered 400"):
        only(url, "boxes").infer(Layout(("height",)), [(1.0,)])


def test_every_address_behind_a_name_is_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is asked under its own address, with the name as its host; on loopback there is one."""
    found = [("10.0.0.7", 0), ("10.0.0.4", 0), ("10.0.0.7", 0), ("fd00::1", 0, 0, 0)]
    answers = {"serving.example": found, "localhost": [("::1", 0, 0, 0), ("127.0.0.1", 0)]}

    def resolved(host: str, _port: int, **_: object) -> list[Any]:
        return [(0, 0, 0, "", address) for address in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    replicas = Endpoint("http://serving.example:8090", "boxes").replicas()
    assert [one.url for one in replicas] == [
        "http://10.0.0.4:8090",
        "http://10.0.0.7:8090",
        "http://[fd00::1]:8090",
    ]
    assert {one.host for one in replicas} == {"serving.example:8090"}
    assert [one.url for one in Endpoint("http://localhost:8090", "boxes").replicas()] == [
        "http://localhost:8090"
    ]


def test_one_replica_that_lags_is_waited_for(
    url: str, holder: Holder, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but one is not enough, and the sentence names the one."""
    holder.hold(LoadedVersion("boxes", "4", bundle))
    endpoint = Endpoint(url, "boxes", poll_seconds=0.02)
    away = Replica("http://127.0.0.1:1", "127.0.0.1:1", "boxes")
    monkeypatch.setattr(endpoint, "replicas", lambda: (only(url, "boxes"), away))
    with pytest.raises(EndpointError, match=r"1 of 2 replicas .*127.0.0.1:1 still says: no answer"):
        endpoint.wait_for("4", patience_seconds=0.1)
    endpoint.require_any(patience_seconds=0.1)
    monkeypatch.setattr(endpoint, "replicas", lambda: (away,))
    with pytest.raises(EndpointError, match="no endpoint is running"):
        endpoint.require_any(patience_seconds=0.1)


def test_a_wrong_key_is_told(url: str, holder: Holder, bundle: Bundle) -> None:
    """Whoever set the pipeline up without the server's key reads that in the task's log."""
    holder.hold(LoadedVersion("boxes", "3", bundle))
    (replica,) = Endpoint(url, "boxes", "a guess").replicas()
    with pytest.raises(EndpointError, match=r"401: .*this API key is none that the server knows"):
        replica.infer(LAYOUT, [(1.0, 2.0)])


@pytest.mark.parametrize(
    "answer",
    [
        *(bad.drip, bad.drip_headers, bad.silence, bad.flood, bad.crumbs, bad.fail_and_drip),
        lambda request: bad.said(request, {"models": [], "outputs": None}),
        lambda request: request.body(b"[" * 100_000),
        lambda request: request.body(b"\x1b[31m<html>\n"),
        lambda request: request.body(gzip.compress(b" " * 2**26), content_encoding="gzip"),
        lambda request: request.wfile.write(b"\x00"),
    ],
)
def test_an_endpoint_that_answers_nonsense_is_a_sentence_in_time(
    answer: bad.Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes, and however slowly, a look and a question end with a readable line."""
    monkeypatch.setattr(replica_module, "_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(replica_module, "_INFER_SECONDS", 0.5)
    started = time.monotonic()
    with bad.misbehaving() as server:
        server.instead["/"] = answer
        replica = only(server.url, "boxes")
        problem = replica.state().problem
        with pytest.raises(EndpointError) as caught:
            replica.infer(LAYOUT, [(1.0, 2.0)])
    assert problem
    assert problem.isprintable()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    assert time.monotonic() - started < 20
