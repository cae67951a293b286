"""One address of an endpoint: what it holds, and its answers to rows."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from include.adapters.endpoint.replica_state import ReplicaState, replica_state
from include.errors import EndpointError, VersionRefusedError
from include.store.units import MIB
from serving.bundle import Layout, Value

_TLS = httpx.create_ssl_context()
_LOOK_SECONDS, _INFER_SECONDS = 5.0, 30.0
"""Time limits for a request and its whole response, however slowly the bytes arrive."""
_ANSWER_BYTES = 16 * MIB
"""Limit for a response: far above 100 rows, or the readiness of a thousand models."""
_NO_FORM = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_ROWS_AT_ONCE = 100
_ABOUT_THE_ROWS = {400, 422, 500}


@dataclass(frozen=True)
class ReplicaAnswer:
    """The answer of a replica to n rows, in their order."""

    version: str
    outputs: Mapping[str, list[Any]]
    """By output, the value of each row."""


@dataclass(frozen=True)
class Replica:
    """One address of an endpoint, and the name of the model that is requested there."""

    url: str
    """Scheme, address and port."""
    host: str
    """The host name that resolved to the address, for the Host header of requests."""
    model: str
    key: str = field(default="", repr=False)
    """The API key to send; empty where none is needed."""

    def state(self) -> ReplicaState:
        """Request which versions of the model it holds; a failure is returned as `problem`."""
        try:
            answer = self._send("GET", "/v2/health/ready", _LOOK_SECONDS)
            state = answer.json()["models"].get(self.model)
            if state is None:
                return ReplicaState(f"it knows no model {self.model}")
            return replica_state(state)
        except httpx.HTTPError as error:
            problem = f"no answer ({error or type(error).__name__})"
            return ReplicaState(problem, answers=False)
        except _NO_FORM:
            return ReplicaState(f"{answer.status_code} {_beginning(answer)}")

    def infer(
        self, layout: Layout, rows: Sequence[Sequence[Value]], version: str | None = None
    ) -> ReplicaAnswer:
        """Return the answers of the champion, or of `version`, to at least one row.

        A row holds the values in feature order, None where one is missing. Raises
        VersionRefusedError when the version cannot answer these rows, EndpointError when there is
        no answer at all, with the server's own message if there is one.
        """
        parts = [
            self._infer(layout, rows[at : at + _ROWS_AT_ONCE], version)
            for at in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        versions = sorted({part.version for part in parts})
        if len(versions) > 1:
            raise EndpointError(
                f"{self.url} changed its version while it was asked: {', '.join(versions)}"
            )
        outputs = {
            name: [value for part in parts for value in part.outputs[name]]
            for name in parts[0].outputs
        }
        return ReplicaAnswer(versions[0], outputs)

    def _infer(
        self, layout: Layout, rows: Sequence[Sequence[Value]], version: str | None
    ) -> ReplicaAnswer:
        path = f"/v2/models/{quote(self.model, safe='')}"
        path += f"/versions/{version}/infer" if version else "/infer"
        inputs = _by_name(layout, rows) if layout.categories else [_matrix(layout, rows)]
        try:
            answer = self._send("POST", path, _INFER_SECONDS, json={"inputs": inputs})
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise EndpointError(f"{self.url}{path} did not answer: {why}") from error
        if answer.status_code != httpx.codes.OK:
            refused = answer.status_code in _ABOUT_THE_ROWS
            kind = VersionRefusedError if refused else EndpointError
            raise kind(f"{self.url}{path} answered {answer.status_code}: {_beginning(answer)}")
        try:
            body = answer.json()
            outputs = {str(output["name"]): list(output["data"]) for output in body["outputs"]}
            if not outputs:
                raise ValueError("no output")
            return ReplicaAnswer(str(body["model_version"]), outputs)
        except _NO_FORM as error:
            why = f"{self.url}{path} answered 200 with what is no inference: {_beginning(answer)}"
            raise EndpointError(why) from error

    def _send(self, method: str, path: str, seconds: float, **options: Any) -> httpx.Response:
        """Return a complete response; httpx.HTTPError when it is too late or too large."""
        try:
            return asyncio.run(self._response(method, path, seconds, options))
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no whole answer came within {seconds:g} s") from error

    async def _response(
        self, method: str, path: str, seconds: float, options: Mapping[str, Any]
    ) -> httpx.Response:
        # A company proxy must not be asked for the neighbour's address. Compressed, an answer could
        # be of any size.
        plain = {"host": self.host, "accept-encoding": "identity"}
        key = {"authorization": f"Bearer {self.key}"} if self.key else {}
        # Over TLS the certificate is for the name, not for the address.
        sni = {"sni_hostname": urlsplit(f"//{self.host}").hostname}
        body = bytearray()
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(trust_env=False, verify=_TLS, timeout=seconds) as client,
            client.stream(
                method, f"{self.url}{path}", headers=plain | key, extensions=sni, **options
            ) as answer,
        ):
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > _ANSWER_BYTES:
                    raise httpx.ReadError(f"its answer is over {_ANSWER_BYTES // MIB} MiB")
        return httpx.Response(answer.status_code, content=bytes(body))


def _beginning(answer: httpx.Response) -> str:
    """Return the beginning of a response body as one line that is safe to log."""
    return "".join(one if one.isprintable() else " " for one in answer.text[:500])


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
