"""Whether a Dag is paused, as Airflow's API tells it."""

from collections.abc import Iterator

import pytest

from include.adapters.dag_switch import DagSwitch
from include.monitoring.prometheus_page import SpecState, page
from tests.contract.stand_in_airflow import airflow_with

DAGS = {"off": {"is_paused": True}, "on": {"is_paused": False}, "odd": ["nothing"]}


@pytest.fixture(scope="module")
def airflow_url() -> Iterator[str]:
    """Return the address of an Airflow that answers."""
    with airflow_with(DAGS) as url:
        yield url


@pytest.mark.parametrize(
    ("dag", "is_paused"), [("off", True), ("on", False), ("odd", None), ("strange", None)]
)
def test_a_dag_is_paused_or_not_or_it_is_not_known(
    *, airflow_url: str, dag: str, is_paused: bool | None
) -> None:
    """What answers otherwise than Airflow, or asks for an account, says nothing."""
    assert DagSwitch(airflow_url, dag).is_paused() is is_paused


def test_an_airflow_that_is_away_says_nothing() -> None:
    """Nor does it keep anybody waiting."""
    assert DagSwitch("http://127.0.0.1:1", "on").is_paused() is None


def test_the_page_has_a_sample_where_it_is_known() -> None:
    """1 for a paused Dag, 0 for another."""
    told = {"a": True, "b": None, "c": False}
    states = [SpecState(name, "m", (), is_paused=paused) for name, paused in told.items()]
    (family,) = (one for one in page(states) if one.name == "ratchet_dag_paused")
    assert {one.labels["spec"]: one.value for one in family.samples} == {"a": 1, "c": 0}
