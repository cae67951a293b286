"""The champion moves on a real MLflow server: raced, killed at every write, moved by hand.

Whatever happens, the log is one line of moves and the aliases stand where its newest entry says.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import mlflow
import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include.adapters.registry import Registry, connect, open_registry, registry_over
from include.errors import ChampionMovedError
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind
from include.stages.fit import fit
from serving.bundle import Layout, Manifest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2)).astype(np.float32)
MODEL = fit(make_pipeline(GaussianNB()), 0.3, X, (X[:, 0] > 0).astype(np.int8))
NAMES = (f"moved-{number}" for number in count())
WRITES = ("log_param", "set_registered_model_alias")


class KilledError(BaseException):
    """Stands for SIGKILL: no handler of the product sees it."""


class Mortal:
    """MLflow's client, whose holder dies before or after a certain write."""

    def __init__(self, client: mlflow.MlflowClient, write: int, *, before: bool) -> None:
        """Die at the write of this number, counted from 1."""
        self._client, self._left, self._before = client, write, before

    def __getattr__(self, name: str) -> Any:
        """Return the client's own method, or a deadly one."""
        method = getattr(self._client, name)
        return self._deadly(method) if name in WRITES else method

    def _deadly(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._before:
                raise KilledError
            result = method(*arguments)
            if self._left == 0:
                raise KilledError
            return result

        return written


def versions(url: str, count: int) -> tuple[Registry, list[ModelVersion]]:
    """Register some versions of a new model."""
    name = next(NAMES)
    registry = open_registry(url, name, name)
    manifest = Manifest(name, "bayes", Layout(("height", "width")), 0.3, ("no", "yes"), 3)
    runs = [registry.runs.open(f"manual__{number}", 3, {}) for number in range(count)]
    return registry, [registry.versions.register(run, MODEL, manifest, [], {}) for run in runs]


def promotion(version: str, against: str | None) -> Move:
    """Return what the step of a run asks for."""
    key = f"version {version} over {against}"
    return Move(MoveKind.PROMOTION, version, key, "a run", "because")


def promoted_in_the_end(url: str, name: str, version: str) -> int:
    """Promote a version, judging again as often as the champion moves; return how often it did."""
    registry, against = open_registry(url, name, name), "1"
    for lost in count():
        try:
            registry.champion.move(promotion(version, against), against)
        except ChampionMovedError:
            champion = registry.champion.current()
            assert champion is not None
            against = champion.version
        else:
            return lost
    raise AssertionError


def require_one_line(registry: Registry, expected: set[str]) -> None:
    """Assert that every move follows from the one before and the aliases from the newest."""
    moves = registry.champion.moves()
    assert [move.number for move in moves] == list(range(1, len(moves) + 1))
    assert [move.before for move in moves] == [None, *(move.version for move in moves[:-1])]
    assert {move.version for move in moves} == expected
    assert len(moves) == len(expected)
    aliases = mlflow.MlflowClient().get_registered_model(registry.model).aliases
    assert aliases["champion"] == moves[-1].version
    assert aliases.get("previous_champion") == moves[-1].before


def test_of_many_that_beat_the_same_champion_one_wins(mlflow_url: str) -> None:
    """Eight threads at once: one move, seven that are told so."""
    registry, made = versions(mlflow_url, 9)
    registry.champion.move(promotion("1", None), None)

    def attempt(version: ModelVersion) -> bool:
        own = open_registry(mlflow_url, registry.model, registry.model)
        try:
            own.champion.move(promotion(version.version, "1"), "1")
        except ChampionMovedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, made[1:]))
    assert won.count(True) == 1
    require_one_line(registry, {"1", made[1:][won.index(True)].version})


def test_the_very_first_promotion_is_raced_for_too(mlflow_url: str) -> None:
    """Before there is a champion nothing can be compared with but that."""
    registry, made = versions(mlflow_url, 4)

    def attempt(version: ModelVersion) -> bool:
        own = open_registry(mlflow_url, registry.model, registry.model)
        try:
            own.champion.move(promotion(version.version, None), None)
        except ChampionMovedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(attempt, made))
    assert won.count(True) == 1
    require_one_line(registry, {made[won.index(True)].version})


def test_processes_that_judge_again_are_all_promoted_once(mlflow_url: str) -> None:
    """No promotion is lost, none doubled, and each took over from the champion of its time."""
    registry, made = versions(mlflow_url, 4)
    registry.champion.move(promotion("1", None), None)
    tasks = [(mlflow_url, registry.model, version.version) for version in made[1:]]
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(promoted_in_the_end, tasks)
    assert len(registry.champion.moves()) == 4
    require_one_line(registry, {"1", "2", "3", "4"})


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_killed_at_any_write_it_recovers_by_itself(
    mlflow_url: str, write: int, *, before: bool
) -> None:
    """Entry, two aliases, the mark: what the dead one began is brought to its end, once."""
    registry, _ = versions(mlflow_url, 3)
    registry.champion.move(promotion("1", None), None)
    connection = connect(mlflow_url, registry.model, registry.model)
    mortal = Mortal(connection.client, write, before=before)
    dying = registry_over(replace(connection, client=mortal))
    with pytest.raises(KilledError):
        dying.champion.move(promotion("2", "1"), "1")
    # Nobody waits for the dead one: its own retry and others may come in any order.
    if write == 1 and before:
        assert [move.version for move in registry.champion.moves()] == ["1"]
    registry.champion.move(promotion("2", "1"), "1")
    require_one_line(registry, {"1", "2"})
    registry.champion.move(promotion("3", "2"), "2")
    registry.champion.move(promotion("2", "1"), "1")  # a late retry of what is long done
    require_one_line(registry, {"1", "2", "3"})


def test_one_that_slept_before_the_alias_wakes_to_a_newer_champion(mlflow_url: str) -> None:
    """Its own write comes last and is wrong; it sees so itself and puts the alias right."""
    registry, _ = versions(mlflow_url, 3)
    registry.champion.move(promotion("1", None), None)
    connection = connect(mlflow_url, registry.model, registry.model)

    class Sleeping:
        has_slept = False

        def __getattr__(self, name: str) -> Any:
            if name == "set_registered_model_alias" and not self.has_slept:
                self.has_slept = True
                registry.champion.move(promotion("3", "2"), "2")
            return getattr(connection.client, name)

    sleeper = registry_over(replace(connection, client=Sleeping()))
    sleeper.champion.move(promotion("2", "1"), "1")
    champion = registry.champion.current()
    assert champion is not None
    assert champion.version == "3"
    require_one_line(registry, {"1", "2", "3"})


def test_a_champion_is_not_promoted_over_itself(mlflow_url: str) -> None:
    """Judged again against whom it took over from, also after a roll back to it."""
    registry, made = versions(mlflow_url, 3)
    for version, against in (("1", None), ("2", "1"), ("3", "2")):
        registry.champion.move(promotion(version, against), against)
    back = registry.champion.move(Move(MoveKind.ROLL_BACK, "2", "back", "Ada", "worse"), "3")
    assert registry.champion.opponent_of(made[1]) == made[0]
    assert registry.champion.opponent_of(made[2]) == made[1]
    again = Move(MoveKind.PROMOTION, "2", "on newer data")
    assert registry.champion.move(again, "1") == back
    assert len(registry.champion.moves()) == 4


def test_an_alias_moved_in_mlflow_becomes_an_entry(mlflow_url: str) -> None:
    """What was truly in production is what the log says, whoever put it there."""
    registry, _ = versions(mlflow_url, 3)
    client = mlflow.MlflowClient(mlflow_url)
    client.set_registered_model_alias(registry.model, "champion", "1")  # before there was a log
    registry.champion.move(promotion("2", "1"), "1")
    client.set_registered_model_alias(registry.model, "champion", "3")
    with pytest.raises(ChampionMovedError, match=r"judged against champion 2, .* now 3"):
        registry.champion.move(promotion("1", "2"), "2")
    kinds = [(move.kind, move.version, move.before) for move in registry.champion.moves()]
    assert kinds == [
        (MoveKind.BY_HAND, "1", None),
        (MoveKind.PROMOTION, "2", "1"),
        (MoveKind.BY_HAND, "3", "2"),
    ]


def test_a_registered_model_that_was_made_by_hand_gets_a_log(mlflow_url: str) -> None:
    """It is looked for where every other is: at the registered model."""
    name = next(NAMES)
    mlflow.MlflowClient(mlflow_url).create_registered_model(name)
    registry = open_registry(mlflow_url, name, name)
    assert registry.champion.moves() == ()
    assert "ratchet.moves" in mlflow.MlflowClient().get_registered_model(name).tags
