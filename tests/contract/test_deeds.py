"""The table of deeds: whatever people do in MLflow, the product goes on or says what to do.

Each deed at a moment of a run, with stand-in models that are fitted once, on MLflow's own store in
this process; a square of each kind of deed on MLflow's server, too. Every other deed has a moment
here; with `DEEDS=all` all have all (`make test-deeds`). Then deeds in any order, `DEEDS_IN_A_ROW=`
as many times.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from demo.data import pulsar_rows
from include.adapters.lake import Lake
from include.adapters.registry import (
    Artifacts,
    RegistryWatch,
    connect,
    open_registry,
    registry_over,
    settled_log,
    versions,
)
from include.adapters.registry.mlflow_model import LoggedBundle
from include.context.step_context import StepContext, step_context
from include.errors import (
    ChampionMovedError,
    GoneError,
    RatchetError,
    RollBackError,
    TakenError,
)
from include.records.models import ModelVersion
from include.records.moves import MoveKind, RollBack
from include.records.row_columns import Side
from include.records.training import Form, NoNewData, Plan
from include.reports import decision_page, pictures
from include.settings import read_settings
from include.spec.model_spec import Spec
from include.stages.fit import fit
from include.steps import race_opening
from include.steps import score as score_step
from serving.bundle import Manifest, save
from tests import steps
from tests.contract.deed_world import World
from tests.contract.deeds import DEEDS, MOMENTS
from tests.contract.mlflow_store import MlflowStore
from tests.contract.pipeline import drop, take_in
from tests.logs import messages_of
from tests.serving.registries import MlflowServer

IN_A_ROW = int(os.environ.get("DEEDS_IN_A_ROW", "1"))
_IN_ONE_WORLD = 10
"""Sequences of deeds that one world goes through."""
_DELIVERIES = 4
"""After a deed; of these at least the last is promoted."""
NAMES = (f"deeds-{number}" for number in count())
SQUARES = [
    (deed, moment)
    for (row, deed), (column, moment) in product(enumerate(DEEDS), enumerate(MOMENTS))
    if os.environ.get("DEEDS") == "all" or (row % 2 == 0 and row // 2 % len(MOMENTS) == column)
]
ON_THE_SERVER = (
    ("experiment deleted", "before score"),
    ("log of moves deleted for good", "before promote"),
    ("model deleted", "before fit"),
    ("champion deleted", "before plan"),
    ("alias champion moved", "before promote"),
    ("newest version: digest lost", "before serve"),
    ("champion: model deleted", "before score"),
)
EARLIER, LATER = "2025-01-02T03:04:05.000006+00:00", "2999-01-02T03:04:05.000006+00:00"
PROMOTED = '{{"kind": "promotion", "version": "{0}", "key": "version {0}", "by": "r", {1}}}'
LOG_OF_0_1_0 = (
    PROMOTED.format(1, '"reason": "the first", "number": 1, "before": null, "at": "AT"'),
    PROMOTED.format(2, '"reason": "better", "number": 2, "before": "1", "at": "AT"'),
)


class Still:
    """A lake that nothing is added to, so that each question is asked once."""

    def __init__(self, lake: Lake) -> None:
        """Pass questions on to a real lake, and remember its answers."""
        self._lake = lake
        self._answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Return what the lake has under a name, of a method one that remembers."""
        found = getattr(self._lake, name)
        return partial(self._asked, found) if callable(found) else found

    def _asked(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        question = f"{method.__name__} {arguments} {named}"
        if question not in self._answers:
            self._answers[question] = method(*arguments, **named)
        return self._answers[question]


class Following:
    """Stands for the servers, which hold and answer what the registry says."""

    def wait_for(self, *_: object, **__: object) -> float:
        """Hold it at once."""
        return 0.0

    def require_any(self, *_: object) -> None:
        """Be there."""

    def replicas(self) -> list[Any]:
        """Leave nothing to compare."""
        return []


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Draw nothing, register without what MLflow's own pages need, look again at once."""

    def logged(run_id: str, model: Any, manifest: Manifest, *_: object) -> LoggedBundle:
        client = mlflow.MlflowClient()
        place = client.get_run(run_id).info.experiment_id
        model_id = str(client.create_logged_model(place, source_run_id=run_id).model_id)
        with TemporaryDirectory() as folder:
            digest = save(Path(folder), model, manifest)
            client.log_model_artifacts(model_id, folder)
        return LoggedBundle(model_id, digest, {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "draw", lambda *_: {})
        patch.setattr(score_step, "latency_ms", lambda *_: 1.0)
        patch.setattr(decision_page, "render", lambda *_: "")
        patch.setattr(versions, "log_bundle", logged)
        patch.setattr(settled_log, "_SECOND_LOOK_SECONDS", 0.01)
        yield


@pytest.fixture(scope="module")
def world_in(
    spec: Spec, mlflow_store: MlflowStore, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[MlflowStore | MlflowServer], World]:
    """Return a function that opens a world with two promotions behind it, in such an MLflow."""
    base = step_context(spec, read_settings({"RATCHET_HOME": str(tmp_path_factory.mktemp("home"))}))
    base = replace(base, registry=open_registry(mlflow_store.url, spec.name, spec.model))
    drop(base, pulsar_rows(700, seed=1))
    intake = take_in(base)
    assert intake.dataset is not None
    layout = race_opening.open_race(base, Plan("", intake.dataset)).layout
    X, y = base.lake.matrix(intake.dataset.version, Side.TRAIN, layout)
    model = fit(make_pipeline(GaussianNB()), 0.3, X, y)
    still = Still(base.lake)
    example = tuple(map(tuple, base.lake.sample(intake.dataset.version, Side.TRAIN, layout, 2)))

    def fitted(context: StepContext, plan: Plan) -> ModelVersion:
        manifest = Manifest(
            context.spec.model, "bayes", layout, 0.3, ("0", "1"), plan.dataset.version, example
        )
        tags = {"ratchet.table": context.lake.identity()}
        return context.registry.versions.register(plan.run_id, model, manifest, [], tags)

    def opened(place: MlflowStore | MlflowServer) -> World:
        name = next(NAMES)
        own = base.spec.model_copy(update={"name": name, "model": name})
        connection = connect(place.url, name, name)
        registry = registry_over(connection)
        doors: dict[str, Any] = {"lake": still, "endpoint": Following(), "registry": registry}
        context = replace(base, spec=own, **doors)
        watchers = RegistryWatch(connection, "f1").look, Artifacts(connection).check
        world = World(context, intake, place.home, fitted, watchers)
        world.promote()
        world.promote()
        return world

    return opened


@pytest.fixture
def new_world(
    mlflow_store: MlflowStore, world_in: Callable[[MlflowStore | MlflowServer], World]
) -> Iterator[Callable[[], World]]:
    """Return a function that opens such a world without a server."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mlflow_store.url)
    yield partial(world_in, mlflow_store)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def own_world(new_world: Callable[[], World]) -> World:
    """Return a world of its own: MLflow is the slower, the more happened in it."""
    return new_world()


@pytest.fixture
def world(worlds: list[World], new_world: Callable[[], World]) -> Iterator[World]:
    """Return a world in which much happened before; none in which a test failed."""
    one = worlds.pop() if worlds else new_world()
    yield one
    if one.works:
        worlds.append(one)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    """Return a place for those that may be used again."""
    return []


def delivered(world: World, deed: str = "", moment: str = "") -> str:
    """Run a delivery; return the sentence that stopped it, after doing what it says."""
    try:
        world.deliver(DEEDS.get(deed), moment)
    except RatchetError as error:
        stopped = error
    else:
        return ""
    assert "\n" not in str(stopped)
    world.mend(stopped)
    return str(stopped)


def sentences_until_it_works(world: World) -> list[str]:
    """Deliver until a delivery is promoted and serves; return the sentences that stopped others."""
    world.works = False
    stopped: list[str] = []
    while len(stopped) < _DELIVERIES and (sentence := delivered(world)):
        stopped.append(sentence)
    assert world.challenger is not None
    assert world.at.registry.champion.current() == world.challenger
    assert world.alias() == world.challenger.version
    assert f"> {world.challenger.version} " in "\n".join(world.promotions()[-20:])
    world.works = True
    return stopped


@pytest.mark.parametrize(("deed", "moment"), SQUARES)
def test_after_each_deed_a_delivery_is_promoted_or_a_sentence_says_what_to_do(
    world: World, deed: str, moment: str
) -> None:
    """At once, or once a person has done what the sentence says."""
    delivered(world, deed, moment)
    stopped = sentences_until_it_works(world)
    assert len(set(stopped)) == len(stopped)  # what a sentence said to do helped


@pytest.mark.parametrize(("deed", "moment"), ON_THE_SERVER)
def test_the_same_holds_on_the_server_of_mlflow(
    world_in: Callable[[MlflowStore | MlflowServer], World],
    mlflow_server: MlflowServer,
    deed: str,
    moment: str,
) -> None:
    """One deed of each kind: its answers and errors come over HTTP there."""
    world = world_in(mlflow_server)
    delivered(world, deed, moment)
    stopped = sentences_until_it_works(world)
    assert len(set(stopped)) == len(stopped)  # what a sentence said to do helped


@pytest.mark.parametrize("number", range(-(-IN_A_ROW // _IN_ONE_WORLD)))
@given(st.lists(st.tuples(st.sampled_from([*DEEDS]), st.sampled_from(MOMENTS)), max_size=10))
@settings(
    max_examples=min(IN_A_ROW, _IN_ONE_WORLD),
    deadline=None,
    phases=(Phase.generate,),  # a world goes on with what was done, so no example can be shrunk
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_after_any_deeds_in_a_row_a_delivery_is_promoted_in_the_end(
    own_world: World, number: int, deeds: list[tuple[str, str]]
) -> None:
    """Each in a run of its own, which may stop by it."""
    del number
    for deed, moment in deeds:
        delivered(own_world, deed, moment)
    stopped = sentences_until_it_works(own_world)
    assert len(set(stopped)) == len(stopped)  # what a sentence said to do helped


def said(caplog: pytest.LogCaptureFixture) -> str:
    """Return the warnings of a test, a line each."""
    return "\n".join(messages_of(caplog, "ratchet"))


def test_an_alias_that_was_deleted_is_set_again(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """The challenger is judged against the champion of the log, and nothing is added to it."""
    world = new_world()
    before = world.at.registry.champion.moves()
    DEEDS["alias champion deleted"](world)
    champion = world.at.registry.champion.current()
    assert champion is not None
    assert champion.version == "2" == world.alias()
    assert world.at.registry.champion.moves() == before
    assert "deleted or led astray in MLflow: it names version 2 again" in said(caplog)
    DEEDS["alias champion deleted"](world)
    decision = world.deliver()
    assert decision.scores.champion is not None
    assert decision.scores.champion.model_version == "2"


def test_a_champion_that_was_deleted_is_followed_by_the_one_before(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """By an entry of its own kind; without one before there is no champion, and that is said."""
    world = new_world()
    DEEDS["champion deleted"](world)
    assert any("fell back   2 > 1" in line for line in world.promotions())
    assert "version 2, the champion, was deleted in MLflow: version 1" in said(caplog)
    newest = world.at.registry.champion.moves()[-1]
    assert (newest.kind, newest.before, newest.version) == (MoveKind.FELL_BACK, "2", "1")
    assert newest.reason == "version 2 was deleted in MLflow"
    DEEDS["champion deleted"](world)
    assert world.at.registry.champion.current() is None
    assert "no earlier champion is left" in said(caplog)
    assert world.deliver().scores.champion is None
    with pytest.raises(RollBackError, match="of the champions before the present one 1 were del"):
        steps.roll_back(world.at, RollBack("back", 1, "worse", "Ada"))


def test_a_roll_back_passes_over_what_was_deleted(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """It goes to the newest champion before it that is left, and says so."""
    world = new_world()
    world.deliver()
    world.client.delete_model_version(world.model, "2")
    moved = steps.roll_back(world.at, RollBack("back", 1, "worse", "Ada"))
    assert (moved.before, moved.version) == ("3", "1")
    assert world.alias() == "1"
    assert "version 2 was deleted in MLflow, so the roll back goes on to version 1" in said(caplog)


def test_a_log_in_the_bin_is_restored(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """With every move in it."""
    world = new_world()
    before = world.at.registry.champion.moves()
    DEEDS["log of moves deleted"](world)
    assert world.at.registry.champion.moves() == before
    assert "run promotions" in said(caplog)
    assert world.client.get_run(world.tag("ratchet.moves")).info.lifecycle_stage == "active"


def test_a_log_that_is_gone_for_good_is_made_anew(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """The same champions in the same order, also after a roll back; what is lost is said."""
    world = new_world()
    world.deliver()
    steps.roll_back(world.at, RollBack("back", 1, "worse", "Ada"))
    DEEDS["log of moves deleted for good"](world)
    moves = world.at.registry.champion.moves()
    assert [move.version for move in moves] == ["1", "2", "3", "2"]
    assert {move.kind for move in moves} == {MoveKind.RECOVERED}
    assert "was deleted in MLflow for good: it is made anew" in said(caplog)
    assert steps.roll_back(world.at, RollBack("again", 1, "worse", "Ada")).version == "1"


def test_versions_of_a_model_that_was_made_again_are_others(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """Numbers start at 1 again: neither the log nor what a run fitted before means the new ones."""
    world = new_world()
    old = world.challenger
    assert old is not None
    world.client.delete_registered_model(world.model)
    world.client.create_registered_model(world.model)
    assert world.at.registry.champion.current() is None
    assert "was found, run" in said(caplog)
    assert world.at.registry.champion.moves()[-1].kind is MoveKind.FELL_BACK
    for _ in range(2):
        assert world.deliver().verdict == "PROMOTE"
    new = world.at.registry.champion.current()
    assert new is not None
    assert (new.version, old.version) == ("2", "2")
    assert [move.version for move in world.at.registry.champion.moves()] == [
        "1",
        "2",
        None,
        "1",
        "2",
    ]
    with pytest.raises(GoneError, match="version 2 was deleted in MLflow"):
        world.at.registry.versions.bundle(old)


def test_an_alias_on_another_tools_version_does_not_count(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """It goes back to where the log says, with a sentence that says how to take a model in."""
    world = new_world()
    DEEDS["alias champion on another tool's version"](world)
    champion = world.at.registry.champion.current()
    assert champion is not None
    assert champion.version == "2" == world.alias()
    assert "on version 3, which Ratchet did not register" in said(caplog)


def test_the_name_of_another_tools_model_stops_a_run_before_it_trains(
    new_world: Callable[[], World],
) -> None:
    """With the spec, the model and what to do."""
    world = new_world()
    DEEDS["model deleted and made by another tool"](world)
    with pytest.raises(TakenError, match=rf"{world.model}\.toml: another tool made the reg"):
        steps.plan(world.at, world.intake, Form(no_new_data=NoNewData.RETRAIN), "manual__taken")


def test_a_renamed_experiment_goes_on_under_its_new_name(
    new_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that a release without tags of experiments has made: by the log of moves."""
    world = new_world()
    place = world.experiment().experiment_id
    world.client.rename_experiment(place, f"{world.model} of Ada")
    world.client.delete_experiment_tag(place, "ratchet.spec")
    world.deliver()
    assert world.plan is not None
    assert world.client.get_run(world.plan.run_id).info.experiment_id == place
    assert f"experiment {world.model} is called {world.model} of Ada in MLflow" in said(caplog)


def test_a_log_of_release_0_1_0_is_read(new_world: Callable[[], World]) -> None:
    """Its entries do not say which run made a version: one that is newer than they is not meant."""
    world = new_world()
    log_of_0_1_0(world, LATER)
    assert [move.version for move in world.at.registry.champion.moves()] == ["1", "2"]
    assert steps.roll_back(world.at, RollBack("back", 1, "worse", "Ada")).version == "1"
    log_of_0_1_0(world, EARLIER)
    newest = world.at.registry.champion.moves()[-1]
    assert (newest.kind, newest.version) == (MoveKind.BY_HAND, "1")
    assert newest.made_in


def log_of_0_1_0(world: World, recorded: str) -> None:
    """Let the registered model have such a log."""
    run_id = world.client.create_run(world.experiment().experiment_id).info.run_id
    for number, entry in enumerate(LOG_OF_0_1_0, start=1):
        world.client.log_param(run_id, f"{number:06d}", entry.replace("AT", recorded))
        world.client.log_param(run_id, f"{number:06d} done", "yes")
    world.client.set_tag(run_id, "ratchet.moves", world.at.spec.name)
    world.client.set_registered_model_tag(world.model, "ratchet.moves", run_id)


def test_what_is_asked_for_while_the_champion_never_stands_still_ends(
    new_world: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking again is bounded, and paused."""
    world = new_world()
    looks = []

    def restless(*_: object) -> bool:
        looks.append(1)
        return False

    monkeypatch.setattr(settled_log.SettledLog, "_is_settled", restless)
    monkeypatch.setattr(settled_log, "LOOKS", 3)
    DEEDS["alias champion deleted"](world)
    with pytest.raises(ChampionMovedError, match="do not come to agree"):
        world.at.registry.champion.moves()
    assert len(looks) == 3
