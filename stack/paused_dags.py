"""Which paused Dags work waits for, for `make status`.

Airflow starts no run of a paused Dag and no further task of a run that is under way, and says so
nowhere but at the switch.
"""

from collections.abc import Iterator

import httpx

from include.settings import Settings
from stack.strays import files_in, landing_places

_SECONDS = 5.0
_MOST = 100
"""In an answer of Airflow."""
_UNREAD = (httpx.HTTPError, ValueError, KeyError, TypeError)


def held_up(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each paused Dag with files or a run that waits; none without Airflow."""
    with httpx.Client(
        timeout=_SECONDS, trust_env=False, base_url=f"{settings.airflow_url}/api/v2"
    ) as http:
        try:
            paused = _paused(http)
            runs = {dag: _running(http, dag) for dag in paused}
        except _UNREAD:
            return
    for dag, place in landing_places(settings).items():
        if dag in paused and (waits := " and ".join(filter(None, (files_in(place), runs[dag])))):
            yield (
                f"The Dag {dag} is paused, and {waits} waits for it: nothing goes on until "
                f"somebody switches it on again, beside its title at {settings.airflow_url}"
                f"/dags/{dag}"
            )


def _paused(http: httpx.Client) -> set[str]:
    wanted: dict[str, str | int] = {"paused": "true", "limit": _MOST, "order_by": "dag_id"}
    answer = http.get("/dags", params=wanted).raise_for_status().json()
    return {one["dag_id"] for one in answer["dags"]}


def _running(http: httpx.Client, dag: str) -> str:
    """Return words for a run that is under way; empty without one."""
    wanted: dict[str, str | int] = {"state": "running", "limit": 1}
    answer = http.get(f"/dags/{dag}/dagRuns", params=wanted).raise_for_status().json()
    return f"its run {answer['dag_runs'][0]['dag_run_id']}" if answer["dag_runs"] else ""
