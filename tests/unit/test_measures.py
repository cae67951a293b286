"""Readings as the page that Prometheus gets."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from include.monitoring import prometheus_page
from include.monitoring.prometheus_page import SourceState, SpecState
from include.records.data import Dataset
from include.records.ledger_state import (
    Arrival,
    LakeReading,
    LandingReading,
    RegistryReading,
    TrainingRun,
)
from include.records.moves import Move, MoveKind

DATASET = Dataset(7, {"negative": 80, "positive": 8}, {"negative": 20, "positive": 2}, grown=6)
LANDING = LandingReading(2, 1, oldest=50.0, refused_files=1, refused_rows=3, quarantine_bytes=99)
UP = (SourceState("lake", up=True, at=1000.0), SourceState("registry", up=False, at=400.0))


def move(number: int, kind: MoveKind, second: int) -> Move:
    """Return an entry of the log of moves."""
    at = f"1970-01-01T00:00:{second:02d}.500000+00:00"
    return Move(kind, str(number), f"key {number}", number=number, at=at)


def run(started: float, verdict: str = "", **metrics: float) -> TrainingRun:
    """Return a training that took 5 s."""
    return TrainingRun(started, started + 5, verdict, metrics)


def shown(states: Sequence[SpecState]) -> dict[str, float]:
    """Return every sample of the page, `name{label="value"}` to its value."""

    class Page:
        def collect(self) -> object:
            return prometheus_page.page(states)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Page())  # type: ignore[arg-type]
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            names = sorted(sample.labels, key=lambda name: (name != "spec", name))
            labels = ",".join(f'{name}="{sample.labels[name]}"' for name in names)
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def with_runs(*runs: TrainingRun) -> dict[str, float]:
    """Return the page of a spec with these runs, the newest first."""
    return shown([SpecState("cats", "cat", UP, registry=RegistryReading(None, (), runs, None))])


def test_a_spec_of_which_nothing_is_known_says_that_alone() -> None:
    """No zero stands where nobody has looked."""
    assert shown([SpecState("cats", "cat", (SourceState("lake", up=False, at=None),))]) == {
        'ratchet_up{spec="cats",source="lake"}': 0
    }


def test_a_source_that_is_away_keeps_what_was_read_last() -> None:
    """Beside the time of that reading."""
    page = shown([SpecState("cats", "cat", UP, registry=RegistryReading("4", (), (), None))])
    assert page['ratchet_up{spec="cats",source="registry"}'] == 0
    assert page['ratchet_read_timestamp_seconds{spec="cats",source="registry"}'] == 400
    assert page['ratchet_champion_info{spec="cats",model="cat",version="4"}'] == 1
    assert page['ratchet_champion_version{spec="cats",model="cat"}'] == 4


def test_landing_and_lake() -> None:
    """What waits, what was refused, and the rows of each side and class."""
    page = shown([SpecState("cats", "cat", UP, LANDING, LakeReading(DATASET, 5, 900.5))])
    assert page['ratchet_landing_files{spec="cats",state="waiting"}'] == 2
    assert page['ratchet_landing_files{spec="cats",state="claimed"}'] == 1
    assert page['ratchet_landing_oldest_timestamp_seconds{spec="cats"}'] == 50
    assert page['ratchet_quarantine_batches{spec="cats",kind="file"}'] == 1
    assert page['ratchet_quarantine_batches{spec="cats",kind="rows"}'] == 3
    assert page['ratchet_quarantine_bytes{spec="cats"}'] == 99
    assert page['ratchet_lake_rows{spec="cats",label="positive",side="holdout"}'] == 2
    assert page['ratchet_lake_rows{spec="cats",label="negative",side="train"}'] == 80
    assert page['ratchet_lake_version{spec="cats"}'] == 7
    assert page['ratchet_lake_batches_total{spec="cats"}'] == 5
    assert page['ratchet_lake_last_commit_timestamp_seconds{spec="cats"}'] == 900.5


def test_runs_are_counted_by_outcome_and_the_newest_in_a_row() -> None:
    """A run without a decision counts as undecided, whatever MLflow calls it."""
    page = with_runs(
        run(40, "REJECT"), run(30, "REJECT"), run(20), run(10, "PROMOTE"), run(5, "REJECT")
    )
    outcomes = {"PROMOTE": 1, "HOLD": 0, "REJECT": 3, "undecided": 1}
    for outcome, count in outcomes.items():
        assert page[f'ratchet_runs{{spec="cats",outcome="{outcome}"}}'] == count
    in_a_row = [page[f'ratchet_run_streak{{spec="cats",outcome="{one}"}}'] for one in outcomes]
    assert in_a_row == [0, 0, 2, 0]
    assert page['ratchet_last_run_timestamp_seconds{spec="cats"}'] == 40
    assert page['ratchet_last_decided_run_seconds{spec="cats"}'] == 5


def test_the_last_decision_is_the_one_that_ended_last() -> None:
    """Also when somebody had an old version judged again; a first challenger met no champion."""
    judged_again = TrainingRun(10, 90, "HOLD", {"challenger_f1": 0.5, "looks": 3})
    page = with_runs(run(50), run(40, "PROMOTE", challenger_f1=0.7, champion_f1=0.6), judged_again)
    assert page['ratchet_last_decision_timestamp_seconds{spec="cats"}'] == 90
    assert page['ratchet_decision_score{spec="cats",contender="challenger",metric="f1"}'] == 0.5
    assert page['ratchet_decision_looks{spec="cats"}'] == 3
    assert 'ratchet_decision_score{spec="cats",contender="champion",metric="f1"}' not in page


def test_rows_of_all_runs_add_up_by_what_became_of_them() -> None:
    """And the refused ones by reason."""
    page = with_runs(
        run(20, batch_new=10, batch_duplicates=2, batch_refused=3, refused_not_a_number=3),
        run(10, batch_new=5, batch_duplicates=0, batch_refused=2, refused_not_a_number=1),
    )
    fates = [
        page[f'ratchet_intake_rows_total{{spec="cats",fate="{fate}"}}']
        for fate in ("new", "duplicates", "refused")
    ]
    assert fates == [15, 2, 5]
    reason = 'ratchet_intake_refused_rows_total{spec="cats",reason="not_a_number"}'
    assert page[reason] == 4


def test_moves_are_counted_by_kind() -> None:
    """A kind that never was is 0, so that the first one is seen to be more; the newest's time."""
    moves = (move(1, MoveKind.PROMOTION, 1), move(2, MoveKind.ROLL_BACK, 9))
    page = shown([SpecState("cats", "cat", UP, registry=RegistryReading("1", moves, (), None))])
    first = 'spec="cats"'
    assert page[f'ratchet_champion_moves_total{{{first},kind="promotion",model="cat"}}'] == 1
    assert page[f'ratchet_champion_moves_total{{{first},kind="roll back",model="cat"}}'] == 1
    assert page[f'ratchet_champion_moves_total{{{first},kind="given back",model="cat"}}'] == 0
    assert page[f'ratchet_champion_last_move_timestamp_seconds{{{first},model="cat"}}'] == 9.5


def test_the_champion_on_arrival() -> None:
    """Its newest point."""
    arrival = RegistryReading("1", (), (), Arrival(0.25, 60, 33.0))
    page = shown([SpecState("cats", "cat", UP, registry=arrival)])
    assert page['ratchet_arrival_score{spec="cats",metric="f1"}'] == 0.25
    assert page['ratchet_arrival_rows{spec="cats"}'] == 60
    assert page['ratchet_arrival_timestamp_seconds{spec="cats"}'] == 33


@pytest.mark.parametrize("spec", ["cats", 'ca"ts\n'])
def test_specs_stand_beside_one_another(spec: str) -> None:
    """Each under its own label, whatever its name is."""
    states = [
        SpecState(spec, "cat", UP, lake=LakeReading(DATASET, 1, 1.0)),
        SpecState("dogs", "dog", UP, lake=LakeReading(DATASET, 2, 1.0)),
    ]
    page = shown(states)
    batches = [value for name, value in page.items() if name.startswith("ratchet_lake_batches")]
    assert batches == [1, 2]
