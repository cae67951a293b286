"""The endpoint of one model: waits until its replicas hold a version."""

import ipaddress
import socket
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from include.adapters.endpoint.replica import Replica
from include.adapters.endpoint.replica_state import (
    ReplicaState,
    WantedVersion,
)
from include.errors import EndpointError, VersionRefusedError, reason_of
from serving.bundle.registered import Role

REFUSAL_STANDS_SECONDS = 5.0
"""A refusal counts only when a replica has repeated it for so long: it retries after two seconds,
so a single failed download does not reject a model."""


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
            addresses_found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            why = f"{self._url}: the name '{host}' stands for no address: {reason_of(error)}"
            raise EndpointError(why) from error
        addresses = sorted({str(one[4][0]) for one in addresses_found})
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
        self, version: str, patience_seconds: float, role: Role = Role.CHAMPION, digest: str = ""
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
            states = self._states()
            now = time.monotonic()
            if all(one.holds(wanted) for one in states.values()):
                return now - started
            refusals = _refusals(states, wanted)
            accepted = accepted if refusals else now
            if now - accepted >= REFUSAL_STANDS_SECONDS:
                raise VersionRefusedError("; ".join(refusals))
            if now - started > patience_seconds:
                raise EndpointError(_late(states, wanted, now - started))
            time.sleep(self._poll_seconds)

    def require_any(self, patience_seconds: float) -> None:
        """Wait until any replica responds; EndpointError after `patience_seconds` without."""
        started = time.monotonic()
        while True:
            states = self._states()
            if any(one.answers for one in states.values()):
                return
            if time.monotonic() - started > patience_seconds:
                problems = "; ".join(f"{url}: {one.problem}" for url, one in states.items())
                raise EndpointError(
                    f"no endpoint is running, so nothing can be tried on it: {problems}. Start it "
                    "(make up), then clear this task"
                )
            time.sleep(self._poll_seconds)

    def _states(self) -> dict[str, ReplicaState]:
        return {one.url: one.state() for one in self.replicas()}


def _refusals(states: Mapping[str, ReplicaState], wanted: WantedVersion) -> list[str]:
    reasons = ((url, one.refusal(wanted)) for url, one in states.items())
    return [
        f"{url} refuses version {wanted.version} as {wanted.role}: {why.reason}"
        for url, why in reasons
        if why and (why.is_for_good or wanted.role == Role.CHALLENGER)
    ]


def _late(states: Mapping[str, ReplicaState], wanted: WantedVersion, waited: float) -> str:
    late = {url: one for url, one in states.items() if not one.holds(wanted)}
    summaries = "; ".join(f"{url} still says: {one.summary(wanted)}" for url, one in late.items())
    return (
        f"{len(late)} of {len(states)} replicas should hold version {wanted.version} as "
        f"{wanted.role} and after {waited:.0f} s do not. {summaries}. Look at the serving log and "
        "/v2/health/ready there"
    )
