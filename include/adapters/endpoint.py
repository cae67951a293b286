"""The serving process as its callers see it: the Open Inference Protocol (V2) over HTTP."""

import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from include.arrays import Probabilities
from include.bundle import Layout, Value
from include.errors import EndpointError

# A company proxy must not be asked for the neighbour's address.
_HTTP = httpx.Client(trust_env=False)


class Endpoint:
    """One model's endpoint."""

    def __init__(self, url: str, model: str, poll_seconds: float = 0.2) -> None:
        """`url` is the server, `model` the name of the endpoint."""
        self._url = f"{url}/v2/models/{model}"
        self._model = model
        self._poll_seconds = poll_seconds

    def wait_for(self, version: str, patience_seconds: float) -> float:
        """Wait until the endpoint holds a version; return the seconds waited.

        Raises EndpointError when it does not within the patience.
        """
        started = time.monotonic()
        while True:
            held = self._held()
            waited = time.monotonic() - started
            if held == version:
                return waited
            if waited > patience_seconds:
                raise EndpointError(
                    f"{self._url} should hold version {version} and after {waited:.0f} s still "
                    f"says: {held}. Look at the serving log and {self._url}/ready"
                )
            time.sleep(self._poll_seconds)

    def infer(self, layout: Layout, rows: Sequence[Sequence[Value]]) -> tuple[str, Probabilities]:
        """Return the version that answered and the probability of each row.

        Rows hold values in feature order, None where one is missing.
        """
        inputs = _by_name(layout, rows) if layout.categories else [_matrix(layout, rows)]
        answer = _HTTP.post(f"{self._url}/infer", json={"inputs": inputs}, timeout=30)
        if answer.status_code != httpx.codes.OK:
            raise EndpointError(f"{self._url}/infer answered {answer.status_code}: {answer.text}")
        body = answer.json()
        outputs = {output["name"]: output["data"] for output in body["outputs"]}
        return body["model_version"], np.asarray(outputs["probability"], dtype=np.float64)

    def _held(self) -> str:
        try:
            answer = _HTTP.get(self._url, timeout=5)
        except httpx.HTTPError as error:
            return f"no answer ({error})"
        if answer.status_code != httpx.codes.OK:
            return f"{answer.status_code} {answer.text}"
        return str(answer.json()["versions"][0])


def _matrix(layout: Layout, rows: Sequence[Sequence[Value]]) -> dict[str, Any]:
    return {
        "name": "rows",
        "shape": [len(rows), len(layout.features)],
        "datatype": "FP64",
        "data": [value for row in rows for value in row],
    }


def _by_name(layout: Layout, rows: Sequence[Sequence[Value]]) -> list[dict[str, Any]]:
    return [
        {
            "name": feature,
            "shape": [len(rows)],
            "datatype": "BYTES" if feature in layout.categories else "FP64",
            "data": [row[place] for row in rows],
        }
        for place, feature in enumerate(layout.features)
    ]
