"""Asks Airflow whether the Dag of a spec is paused, so that what waits for it can be told.

Where Airflow asks for an account, as in containers, it does not say so and nothing is known.
"""

import logging
from urllib.parse import quote

import httpx

from include.errors import reason_of

log = logging.getLogger("ratchet")
_SECONDS = 5.0


class DagSwitch:
    """The switch beside the title of a Dag in Airflow."""

    def __init__(self, airflow_url: str, dag_id: str) -> None:
        """`dag_id` is the name of the spec."""
        self._url = f"{airflow_url}/api/v2/dags/{quote(dag_id, safe='')}"

    def is_paused(self) -> bool | None:
        """Return whether the Dag is paused; None when Airflow does not say so."""
        try:
            with httpx.Client(timeout=_SECONDS, trust_env=False) as http:
                answer = http.get(self._url).raise_for_status().json()
            return bool(answer["is_paused"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.debug("Airflow does not tell of %s: %s", self._url, reason_of(error))
            return None
