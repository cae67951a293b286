"""When the bell of a landing place rings: once a drop, and never for what a person stopped."""

import logging
from dataclasses import dataclass, field

import landing_trigger
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landing_trigger import LandingTrigger, Runs, RunWaker

from include.store import Entry
from tests.logs import messages_of

pytestmark = pytest.mark.asyncio
REPEAT = 10.0


def entry(name: str) -> Entry:
    """Return a file that waits."""
    return Entry(name, 4, 1, "")


A, B, C = (entry(f"{letter}.csv") for letter in "abc")


@dataclass
class Known(Runs):
    """Runs as a test says they are."""

    active: bool | None = False
    stopped: set[str] = field(default_factory=set)
    dag_id: str = "pulsars"

    async def are_active(self) -> bool | None:
        """Say what the test says."""
        return self.active

    async def stopped_early(self, _known: frozenset[str] | None) -> frozenset[str]:
        """Return what the test says, whatever was known before."""
        return frozenset(self.stopped)


class Clock:
    """A clock that a test turns."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the time of the test."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the bell reads."""
    turned = Clock()
    monkeypatch.setattr(landing_trigger, "time", turned)
    return turned


async def test_one_drop_rings_once_until_its_run_is_over(clock: Clock) -> None:
    """While the run is made, while it has not claimed yet, and while it runs, all is silent."""
    runs = Known()
    bell = RunWaker(runs, REPEAT)
    assert await bell.rings_for([A]) == [A]
    assert await bell.rings_for([A, B]) == []
    clock.now += REPEAT / 2
    runs.active = True
    for _ in range(30):
        clock.now += 1
        assert await bell.rings_for([A, B]) == []
    assert await bell.rings_for([]) == []
    runs.active = False
    assert await bell.rings_for([]) == []


@pytest.mark.usefixtures("clock")
async def test_a_file_that_came_during_a_run_rings_when_that_is_over() -> None:
    """At once, not after a pause."""
    runs = Known(active=True)
    bell = RunWaker(runs, REPEAT)
    assert await bell.rings_for([B]) == []
    runs.active = False
    assert await bell.rings_for([B]) == [B]


async def test_a_bell_that_nobody_heard_rings_again(clock: Clock) -> None:
    """A lost event costs a pause, not the file."""
    bell = RunWaker(Known(), REPEAT)
    assert await bell.rings_for([A]) == [A]
    assert await bell.rings_for([A]) == []
    clock.now += REPEAT + 1
    assert await bell.rings_for([A]) == [A]


@pytest.mark.usefixtures("clock")
async def test_where_nothing_is_known_of_runs_every_new_file_rings() -> None:
    """An empty run costs less than a file that nobody takes."""
    bell = RunWaker(Known(active=None), REPEAT)
    assert await bell.rings_for([A]) == [A]
    assert await bell.rings_for([A]) == []
    assert await bell.rings_for([A, B]) == [A, B]


@pytest.mark.parametrize("is_seen_running", [True, False])
async def test_the_file_of_a_run_that_a_person_stopped_waits(
    *, clock: Clock, caplog: pytest.LogCaptureFixture, is_seen_running: bool
) -> None:
    """However short the run was; the log says once whom it waits for."""
    runs = Known()
    bell = RunWaker(runs, REPEAT)
    assert await bell.rings_for([A]) == [A]
    runs.active = is_seen_running
    assert await bell.rings_for([A]) == []
    runs.active = False
    runs.stopped = {"manual__1"}
    with caplog.at_level(logging.WARNING, logger="landing_trigger"):
        for _ in range(50):
            clock.now += 1
            assert await bell.rings_for([A]) == []
    (sentence,) = messages_of(caplog, "landing_trigger")
    assert sentence.startswith("a.csv waits, because a person stopped the run of pulsars")


async def test_another_file_wakes_the_next_run(clock: Clock) -> None:
    """It is not among those that were offered to the run that was stopped."""
    runs = Known()
    bell = RunWaker(runs, REPEAT)
    assert await bell.rings_for([A]) == [A]
    runs.stopped = {"manual__1"}
    clock.now += REPEAT + 1
    assert await bell.rings_for([A]) == []
    assert await bell.rings_for([A, B]) == [B]


async def test_a_stop_of_long_ago_holds_nothing(clock: Clock) -> None:
    """Only a run that was stopped since the bell rang is that of the file."""
    runs = Known(stopped={"manual__1"})
    bell = RunWaker(runs, REPEAT)
    assert await bell.rings_for([A]) == [A]
    clock.now += REPEAT + 1
    assert await bell.rings_for([A]) == [A]


async def test_runs_are_asked_for_one_by_one_only_after_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Dag of a thousand nights costs a count, not a thousand rows."""
    told: dict[str, object] = {"get_dr_count": 1, "get_ti_count": 1}
    asked: list[str] = []

    async def answer(_runs: Runs, question: str, **_wanted: object) -> object:
        asked.append(question)
        return told[question]

    monkeypatch.setattr(Runs, "_told", answer)
    runs = Runs("pulsars")
    assert await runs.are_active()
    told["get_task_states"] = {
        "early": {"report": "skipped", "data.ingest": "failed"},
        "late": {"report": "skipped", "data.ingest": "success"},
        "fine": {"report": "success", "data.ingest": "success"},
    }
    early = await runs.stopped_early(None)
    assert early == {"early"}
    asked.clear()
    assert await runs.stopped_early(early) == early
    assert asked == ["get_ti_count"]


async def test_an_api_that_is_away_tells_nothing() -> None:
    """Outside a triggerer nobody answers, and nobody is asked about a Dag without a name."""
    assert await Runs("pulsars").are_active() is None
    assert await Runs("").are_active() is None
    assert await Runs("pulsars").stopped_early(None) == frozenset()
    assert LandingTrigger("/x", dag_id="pulsars").serialize()[1]["dag_id"] == "pulsars"


async def test_that_nobody_answers_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Until somebody does; a file that waits is announced all the same."""
    runs = Runs("pulsars")
    assert await RunWaker(runs, REPEAT).rings_for([A]) == [A]
    assert await runs.are_active() is None
    (said,) = messages_of(caplog, "landing_trigger")
    assert said.startswith("Airflow does not tell of the runs of pulsars, so that a file may start")


STEPS = st.lists(
    st.tuples(st.sets(st.sampled_from([A, B, C])), st.booleans(), st.integers(0, 12)), max_size=40
)


@given(STEPS)
async def test_what_waits_and_was_never_stopped_rings_in_the_end(
    steps: list[tuple[set[Entry], bool, int]],
) -> None:
    """Whatever came before: no active run and a pause, and the file is announced."""
    with pytest.MonkeyPatch.context() as patch:
        clock, runs = Clock(), Known()
        patch.setattr(landing_trigger, "time", clock)
        bell = RunWaker(runs, REPEAT)
        for waiting, active, seconds in steps:
            runs.active = active
            clock.now += seconds
            rung = await bell.rings_for(sorted(waiting, key=lambda item: item.name))
            assert not (active and rung)
        runs.active = False
        clock.now += REPEAT + 1
        assert await bell.rings_for([A]) == [A]
