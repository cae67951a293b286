"""A client of the inference server: the Open Inference Protocol (V2) over HTTP.

A host name may resolve to several addresses, as that of a service with replicas does. Every replica
is asked under its own address, because each follows the registry by itself.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np

from include.errors import EndpointError, VersionRefusedError, reason_of
from include.records.arrays import Probabilities
from serving.bundle import Layout, Value

CHAMPION, CHALLENGER = "champion", "challenger"
REFUSAL_STANDS_SECONDS = 5.0
"""A refusal counts only when a replica has repeated it for so long: it retries after two seconds,
so a single failed download does not reject a model."""
_FOR_GOOD = {"bundle", "model"}
"""Kinds of refusal that waiting does not change, because the version itself is at fault."""
_TLS = httpx.create_ssl_context()
_LOOK_SECONDS, _INFER_SECONDS = 5.0, 30.0
"""Time limits for a request and its whole response, however slowly the bytes arrive."""
_ANSWER_BYTES = 2**24
"""Limit for a response: far above 100 rows, or the readiness of a thousand models."""
_NO_FORM = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_ROWS_AT_ONCE = 100
_ABOUT_THE_ROWS = {400, 422, 500}


@dataclass(frozen=True)
class WantedVersion:
    """A version that replicas should hold under a role."""

    version: str
    role: str = CHAMPION
    digest: str = ""
    """SHA-256 of its bundle, because a registry can assign a number twice; empty: any bundle."""


@dataclass(frozen=True)
class RefusedVersion:
    """A version that a replica does not hold under a role, and why."""

    version: str
    reason: str
    is_for_good: bool = False


@dataclass(frozen=True)
class ReplicaState:
    """What one replica reports about a model."""

    problem: str = ""
    """Why it does not respond, or not as Ratchet's server does; empty when it does."""
    answers: bool = True
    """Whether anything answers at its address."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Version numbers by role."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Digests of the bundles by role; empty for a server of version 0.1.0."""
    refused: Mapping[str, RefusedVersion] = field(default_factory=dict)
    """By role."""

    def holds(self, wanted: WantedVersion) -> bool:
        """Return whether it holds the version under the role, with the digest if one is given."""
        if self.versions.get(wanted.role) != wanted.version:
            return False
        digest = self.digests.get(wanted.role, "")
        return not digest or not wanted.digest or digest == wanted.digest

    def told(self, wanted: WantedVersion) -> str:
        """Return a sentence about what it holds instead of the version, or why it refused it."""
        if self.problem:
            return self.problem
        why = self.refusal(wanted)
        holds = self.versions.get(wanted.role, "nothing")
        if holds == wanted.version and not self.holds(wanted):
            holds += " of another model that had that number before"
        return f"{holds} (version {wanted.version} refused: {why.reason})" if why else holds

    def refusal(self, wanted: WantedVersion) -> RefusedVersion | None:
        """Return its refusal of the version under the role, None when it did not refuse it."""
        refused = self.refused.get(wanted.role)
        return refused if refused and refused.version == wanted.version else None


@dataclass(frozen=True)
class ReplicaAnswer:
    """The answer of a replica to n rows, in their order."""

    version: str
    probability: Probabilities
    """Probability of the positive label, shape (n,)."""
    label: list[str]


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

    def standing(self) -> ReplicaState:
        """Request which versions of the model it holds; a failure is returned as `problem`."""
        try:
            answer = self._send("GET", "/v2/health/ready", _LOOK_SECONDS)
            state = answer.json()["models"].get(self.model)
            if state is None:
                return ReplicaState(f"it knows no model {self.model}")
            return _standing(state)
        except httpx.HTTPError as error:
            problem = f"no answer ({error or type(error).__name__})"
            return ReplicaState(problem, answers=False)
        except _NO_FORM:
            return ReplicaState(f"{answer.status_code} {_said(answer)}")

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
        probability = np.concatenate([part.probability for part in parts])
        return ReplicaAnswer(
            versions[0], probability, [one for part in parts for one in part.label]
        )

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
            raise kind(f"{self.url}{path} answered {answer.status_code}: {_said(answer)}")
        try:
            body = answer.json()
            outputs = {output["name"]: output["data"] for output in body["outputs"]}
            probability = np.asarray(outputs["probability"], dtype=np.float64)
            labels = list(map(str, outputs["label"]))
            return ReplicaAnswer(str(body["model_version"]), probability, labels)
        except _NO_FORM as error:
            why = f"{self.url}{path} answered 200 with what is no inference: {_said(answer)}"
            raise EndpointError(why) from error

    def _send(self, method: str, path: str, seconds: float, **options: Any) -> httpx.Response:
        """Return a complete response; httpx.HTTPError when it is too late or too large."""
        try:
            return asyncio.run(self._asked(method, path, seconds, options))
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no whole answer came within {seconds:g} s") from error

    async def _asked(
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
                    raise httpx.ReadError(f"its answer is over {_ANSWER_BYTES // 2**20} MiB")
        return httpx.Response(answer.status_code, content=bytes(body))


class Endpoint:
    """The endpoint of one model: one server, or several replicas behind one host name."""

    def __init__(self, url: str, model: str, key: str = "", poll_seconds: float = 0.2) -> None:
        """`url` is the server, `model` the name of the endpoint, `key` an API key of the server."""
        self._key = key
        self._url = url.rstrip("/")
        self._model = model
        self._poll_seconds = poll_seconds

    def replicas(self) -> tuple[Replica, ...]:
        """Resolve the host name and return a replica for each address; on loopback only one.

        Raises EndpointError when the name does not resolve.
        """
        parts = urlsplit(self._url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            why = f"{self._url}: the name '{host}' stands for no address: {reason_of(error)}"
            raise EndpointError(why) from error
        addresses = sorted({str(one[4][0]) for one in found})
        if any(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in addresses):
            # The same server as IPv4 and IPv6, or only as one of them.
            return (Replica(self._url, parts.netloc, self._model, self._key),)
        return tuple(
            Replica(
                f"{parts.scheme}://{f'[{one}]' if ':' in one else one}:{port}{parts.path}",
                parts.netloc,
                self._model,
                self._key,
            )
            for one in addresses
        )

    def wait_for(
        self, version: str, patience_seconds: float, role: str = CHAMPION, digest: str = ""
    ) -> float:
        """Wait until every replica holds a version under a role; return the seconds waited.

        With `digest`, a version of that number with another bundle does not count. Raises
        VersionRefusedError when a replica keeps refusing it: a challenger for any reason, a
        champion only for one that waiting does not change. Raises EndpointError when some replica
        does not hold it within `patience_seconds`.
        """
        wanted = WantedVersion(version, role, digest)
        started = time.monotonic()
        accepted = started
        while True:
            standings = self._standings()
            now = time.monotonic()
            if all(one.holds(wanted) for one in standings.values()):
                return now - started
            refusals = _refusals(standings, wanted)
            accepted = accepted if refusals else now
            if now - accepted >= REFUSAL_STANDS_SECONDS:
                raise VersionRefusedError("; ".join(refusals))
            if now - started > patience_seconds:
                raise EndpointError(_late(standings, wanted, now - started))
            time.sleep(self._poll_seconds)

    def require_any(self, patience_seconds: float) -> None:
        """Wait until any replica responds; EndpointError after `patience_seconds` without."""
        started = time.monotonic()
        while True:
            standings = self._standings()
            if any(one.answers for one in standings.values()):
                return
            if time.monotonic() - started > patience_seconds:
                told = "; ".join(f"{url}: {one.problem}" for url, one in standings.items())
                raise EndpointError(
                    f"no endpoint is running, so nothing can be tried on it: {told}. Start it "
                    "(make up), then clear this task"
                )
            time.sleep(self._poll_seconds)

    def _standings(self) -> dict[str, ReplicaState]:
        return {one.url: one.standing() for one in self.replicas()}


def _said(answer: httpx.Response) -> str:
    """Return the beginning of a response body as one line that is safe to log."""
    return "".join(one if one.isprintable() else " " for one in answer.text[:500])


def _standing(state: Mapping[str, Any]) -> ReplicaState:
    roles, refused = state["roles"].items(), state.get("refused", {}).items()
    return ReplicaState(
        versions={role: one["version"] for role, one in roles},
        digests={role: str(one.get("digest", "")) for role, one in roles},
        refused={
            role: RefusedVersion(one["version"], one["reason"], one.get("kind", "") in _FOR_GOOD)
            for role, one in refused
        },
    )


def _refusals(standings: Mapping[str, ReplicaState], wanted: WantedVersion) -> list[str]:
    reasons = ((url, one.refusal(wanted)) for url, one in standings.items())
    return [
        f"{url} refuses version {wanted.version} as {wanted.role}: {why.reason}"
        for url, why in reasons
        if why and (why.is_for_good or wanted.role == CHALLENGER)
    ]


def _late(standings: Mapping[str, ReplicaState], wanted: WantedVersion, waited: float) -> str:
    late = {url: one for url, one in standings.items() if not one.holds(wanted)}
    told = "; ".join(f"{url} still says: {one.told(wanted)}" for url, one in late.items())
    return (
        f"{len(late)} of {len(standings)} replicas should hold version {wanted.version} as "
        f"{wanted.role} and after {waited:.0f} s do not. {told}. Look at the serving log and "
        "/v2/health/ready there"
    )


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
