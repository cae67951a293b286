"""Which specs cannot be used, and why: asked of Airflow, which shows each as a Dag that says so.

The supervisor reads no spec itself: what a spec may say is the product's own.
"""

from dataclasses import dataclass

import httpx

TAG = "broken spec"
"""What such a Dag is tagged with."""
_SECONDS = 5.0
_MOST = 100
"""In an answer of Airflow."""


@dataclass(frozen=True)
class BrokenSpec:
    """A Dag whose spec cannot be used."""

    dag: str
    reason: str


def broken_specs(airflow_url: str) -> list[BrokenSpec]:
    """Return the Dags that are tagged so; none while Airflow does not answer."""
    asked: dict[str, str | int] = {"tags": TAG, "limit": _MOST, "order_by": "dag_id"}
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as http:
            answer = http.get(f"{airflow_url}/api/v2/dags", params=asked).raise_for_status().json()
        return [BrokenSpec(one["dag_id"], one["description"] or "") for one in answer["dags"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return []
