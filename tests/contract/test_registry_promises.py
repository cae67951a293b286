"""What steps ask of a registry, held against MLflow's store, MLflow's server and the one in memory.

The one in memory may stand in for MLflow in a test of a step as far as this suite goes.
"""

from collections.abc import Callable
from itertools import count
from typing import Protocol

import mlflow
import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include.adapters.registry import open_registry, settled_log
from include.context.model_registry import ModelRegistry
from include.errors import ChampionMovedError, GoneError, NothingToDoError, NotOwnerError
from include.records.judging import Check, Decision, Scores, Verdict
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind
from include.records.training import Candidate, Trial
from include.stages.fit import fit
from serving.bundle import Layout, Manifest
from tests.contract.mlflow_store import MlflowStore
from tests.judged import F1, score
from tests.ledger_in_memory import Ledger
from tests.registry_in_memory import registry_in_memory

NAMES = (f"promises-{number}" for number in count())
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(np.int8)
MODEL = fit(make_pipeline(GaussianNB()), 0.3, X, Y)
LAYOUT = Layout(("height", "width"))
TRIAL = Trial(Candidate("bayes", {"smoothing": 0.1}), 100, 0.5, (0.4, 0.6), 0.3, 1.5)
ON_THE_SERVER = pytest.mark.parametrize("place", ["memory", "store", "server"], indirect=True)
"""For the few promises whose answers have forms of their own over HTTP."""


class Place(Protocol):
    """A registered model, seen by specs and by people."""

    def seen_by(self, spec: str) -> ModelRegistry:
        """Return the registry of a spec, whose model it is or not."""

    def delete(self, number: str) -> None:
        """Delete a version, as a person does."""

    def point(self, number: str) -> None:
        """Move the alias of the champion by hand."""

    def put_up(self) -> str | None:
        """Return the version that is put up as challenger."""


class InMlflow:
    """A registered model in MLflow."""

    def __init__(self, url: str, model: str) -> None:
        """Register nothing yet."""
        self._url, self._model = url, model

    def seen_by(self, spec: str) -> ModelRegistry:
        """Open what keeps the promises in MLflow."""
        return open_registry(self._url, spec, self._model)

    def delete(self, number: str) -> None:
        """Delete it with MLflow's client."""
        mlflow.MlflowClient(self._url).delete_model_version(self._model, number)

    def point(self, number: str) -> None:
        """Point with MLflow's client."""
        client = mlflow.MlflowClient(self._url)
        client.set_registered_model_alias(self._model, "champion", number)

    def put_up(self) -> str | None:
        """Read the alias with MLflow's client."""
        aliases = mlflow.MlflowClient(self._url).get_registered_model(self._model).aliases
        return str(aliases["challenger"]) if "challenger" in aliases else None


class InMemory:
    """A registered model in this process."""

    def __init__(self, model: str) -> None:
        """Register nothing yet."""
        self._ledger = Ledger(model)
        self.delete, self.point = self._ledger.delete, self._ledger.point

    def seen_by(self, spec: str) -> ModelRegistry:
        """Open what keeps the promises in memory."""
        return registry_in_memory(self._ledger, spec)

    def put_up(self) -> str | None:
        """Read what the ledger has."""
        return self._ledger.challenger


@pytest.fixture(params=["memory", "store"])
def place(
    request: pytest.FixtureRequest,
    mlflow_store: MlflowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """Return a place where nothing is registered."""
    monkeypatch.setattr(settled_log, "_SECOND_LOOK_SECONDS", 0.01)
    places: dict[str, Callable[[], Place]] = {
        "memory": lambda: InMemory("boxes"),
        "store": lambda: InMlflow(mlflow_store.url, next(NAMES)),
        "server": lambda: InMlflow(request.getfixturevalue("mlflow_url"), next(NAMES)),
    }
    return places[request.param]()


@pytest.fixture
def registry(place: Place) -> ModelRegistry:
    """Return the registry of a spec there."""
    return place.seen_by("boxes")


def registered(registry: ModelRegistry, count: int, data_version: int = 3) -> list[ModelVersion]:
    """Register so many versions, each in a run of its own."""
    made = []
    for _ in range(count):
        name = next(NAMES)
        run_id = registry.runs.open(name, data_version, {})
        manifest = Manifest(
            name, "bayes", LAYOUT, 0.3, ("no", "yes"), data_version, example=((1.0, 2.0),)
        )
        made.append(registry.versions.register(run_id, MODEL, manifest, ["scikit-learn"], {}))
    return made


def promote(registry: ModelRegistry, version: ModelVersion, against: ModelVersion | None) -> Move:
    """Make a version the champion, as the step of its run does."""
    before = None if against is None else against.version
    key = f"version {version.version} over {before}"
    wanted = Move(MoveKind.PROMOTION, version.version, key, made_in=version.run_id)
    return registry.champion.move(wanted, before)


def decision(version: ModelVersion, data_version: int) -> Decision:
    """Return a decision on a version that was judged on 60 rows."""
    card = score(Y, np.linspace(0, 1, len(Y)), 0.5, version.version, data_version)
    check = Check("no_skill", passed=True, value=0.5, bound=0.2, sentence="it beats it")
    return Decision(Verdict.HOLD, "because", (check,), Scores(card))


@ON_THE_SERVER
def test_a_version_is_registered_once_and_its_bundle_answers_as_the_model(
    registry: ModelRegistry,
) -> None:
    """A retried step finds what its run registered before."""
    run_id = registry.runs.open("manual__1", 3, {})
    assert registry.runs.open("manual__1", 3, {}) == run_id
    assert registry.versions.made_in(run_id) is None
    manifest = Manifest("boxes", "bayes", LAYOUT, 0.3, ("no", "yes"), 3, example=((1.0, 2.0),))
    made = [registry.versions.register(run_id, MODEL, manifest, [], {}) for _ in range(2)]
    assert made[0] == made[1] == registry.versions.made_in(run_id)
    assert (made[0].version, made[0].run_id, made[0].data_version) == ("1", run_id, 3)
    assert registry.versions.version_numbered("1") == made[0]
    assert registry.versions.version_numbered("2") is None
    assert registry.versions.data_versions() == {3}
    bundle = registry.versions.bundle(made[0])
    assert np.array_equal(bundle.scores(X), MODEL.predict_proba(X)[:, 1])


@ON_THE_SERVER
def test_the_champion_moves_once_and_only_from_where_it_was_judged(
    registry: ModelRegistry,
) -> None:
    """Who was judged against another champion is told so; the same request moves nothing more."""
    assert registry.champion.current() is None
    first, second, third = registered(registry, 3)
    assert registry.champion.current() is None
    promote(registry, first, None)
    moved = promote(registry, second, first)
    assert (moved.number, moved.before, moved.version) == (2, "1", "2")
    assert promote(registry, second, first) == moved
    assert registry.champion.current() == second
    with pytest.raises(ChampionMovedError, match=r"judged against champion 1, .* now 2"):
        promote(registry, third, first)
    assert registry.champion.moves()[-1] == moved
    assert registry.champion.opponent_of(third) == second
    assert registry.champion.opponent_of(second) == first  # judged again after its promotion


def test_a_roll_back_is_a_move_like_any_other(registry: ModelRegistry) -> None:
    """The version that it passes over can be told, and promoted again later."""
    first, second = registered(registry, 2)
    promote(registry, first, None)
    move = promote(registry, second, first)
    back = registry.champion.move(Move(MoveKind.ROLL_BACK, "1", "back", "Ada"), "2")
    assert registry.champion.current() == first
    assert (back.kind, back.made_in) == (MoveKind.ROLL_BACK, first.run_id)
    assert registry.champion.reached_by(move) == second
    assert registry.versions.is_there(move)


@ON_THE_SERVER
def test_a_champion_that_a_person_deletes_is_followed_by_the_one_before(
    place: Place, registry: ModelRegistry
) -> None:
    """By a move of its own; the deleted version can neither be opened nor promoted."""
    first, second = registered(registry, 2)
    promote(registry, first, None)
    move = promote(registry, second, first)
    place.delete("2")
    assert registry.champion.current() == first
    newest = registry.champion.moves()[-1]
    assert (newest.kind, newest.before, newest.version) == (MoveKind.FELL_BACK, "2", "1")
    assert registry.champion.reached_by(move) is None
    assert not registry.versions.is_there(move)
    with pytest.raises(GoneError):
        registry.versions.bundle(second)
    with pytest.raises(GoneError):
        registry.champion.move(Move(MoveKind.ROLL_BACK, "2", "back", "Ada"), "1")
    place.delete("1")
    assert registry.champion.current() is None
    assert registry.champion.moves()[-1].version is None


def test_an_alias_that_a_person_moves_becomes_a_move(place: Place, registry: ModelRegistry) -> None:
    """And is what the next challenger has to beat."""
    first, second = registered(registry, 2)
    promote(registry, first, None)
    place.point("2")
    assert registry.champion.current() == second
    newest = registry.champion.moves()[-1]
    assert (newest.kind, newest.before, newest.made_in) == (MoveKind.BY_HAND, "1", second.run_id)


def test_the_model_is_its_first_specs_until_it_is_handed_over(
    place: Place, registry: ModelRegistry
) -> None:
    """Another spec neither registers nor moves anything; its own is refused after that."""
    newcomer = place.seen_by("crates")
    assert registry.ownership.owner() is None
    registry.ownership.require_owner()
    with pytest.raises(NothingToDoError):
        newcomer.ownership.transfer("Ada")
    (version,) = registered(registry, 1)
    assert newcomer.ownership.owner_if_told() == "boxes"
    with pytest.raises(NotOwnerError):
        registered(newcomer, 1)
    with pytest.raises(NotOwnerError):
        promote(newcomer, version, None)
    assert newcomer.ownership.transfer("Ada") == "boxes"
    promote(newcomer, version, None)
    with pytest.raises(NotOwnerError):
        registry.ownership.require_owner()


def test_decisions_say_what_was_decided_on_and_how_often_rows_were_looked_at(
    registry: ModelRegistry,
) -> None:
    """A run without a decision does not count, nor does the one that asks."""
    assert registry.decisions.newest_data_version("asks") is None
    first, second = *registered(registry, 1, 3), *registered(registry, 1, 5)
    assert registry.decisions.newest_data_version("asks") is None
    registry.decisions.log(first.run_id, first, decision(first, 3))
    assert registry.decisions.newest_data_version("asks") == 3
    assert registry.decisions.looks(first, 60) == 0
    assert registry.decisions.looks(second, 60) == 1
    assert registry.decisions.looks(second, 121) == 0
    registry.decisions.log(second.run_id, second, decision(second, 5))
    assert registry.decisions.newest_data_version("asks") == 5


def test_what_was_recorded_of_a_run_is_read_back(registry: ModelRegistry) -> None:
    """The newest figure counts; a candidate is recorded once; nothing is known of other runs."""
    run_id = registry.runs.open("manual__1", 3, {})
    registry.runs.require(run_id)
    for value in (0.6, 0.4):
        registry.runs.log(run_id, metrics={"f1": value}, params={"depth": 2}, tags={"why": "so"})
    assert registry.runs.metric(run_id, "f1") == 0.4
    assert registry.runs.metric(run_id, "recall") is None
    assert registry.runs.metric("0" * 32, "f1") is None
    assert registry.runs.batches(run_id) == ()
    assert registry.runs.figures(run_id) == {}
    trial = registry.runs.log_trial(run_id, TRIAL, F1)
    assert registry.runs.log_trial(run_id, TRIAL, F1, np.array([0.1, 0.9])) == trial != run_id
    with pytest.raises(GoneError):
        registry.runs.require("0" * 32)


def test_arrivals_are_known_by_their_data_version(registry: ModelRegistry) -> None:
    """So that a retried step scores none twice."""
    assert registry.arrivals.data_versions() == set()
    card = score(Y, np.linspace(0, 1, len(Y)), 0.5, "1", 7)
    registry.arrivals.log(card, card.figures)
    assert registry.arrivals.data_versions() == {7}


def test_a_challenger_is_taken_down_by_whom_it_was_put_up_for(
    place: Place, registry: ModelRegistry
) -> None:
    """A later one stays up when an earlier one is taken down; a deleted one is never put up."""
    first, second = registered(registry, 2)
    registry.challenger.put_up(first)
    registry.challenger.put_up(second)
    registry.challenger.take_down(first)
    assert place.put_up() == second.version
    registry.challenger.take_down(second)
    registry.challenger.take_down(second)
    assert place.put_up() is None
    place.delete(first.version)
    with pytest.raises(GoneError):
        registry.challenger.put_up(first)
    assert place.put_up() is None
