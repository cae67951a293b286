"""The client of a connection: the peer's address, or the one that a trusted proxy names."""

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED_FOR = b"x-forwarded-for"
_ONE_SITE = 64
"""IPv6 clients are told apart by 64 bits: a site usually has all addresses of such a prefix."""


class Clients:
    """Names clients; a proxy may name one only when it is in a trusted network."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        """`trusted` are the networks whose hosts may name the client that they forward."""
        self._trusted = tuple(trusted)

    def is_proxy(self, host: str) -> bool:
        """Return whether a host is a trusted proxy."""
        address = _address(host)
        return address is not None and self._is_trusted(address)

    def name(self, host: str) -> str:
        """Return the name that a client's connections are counted by."""
        address = _address(host)
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, _ONE_SITE), strict=False))
        return host if address is None else str(address)

    def behind(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the client in a trusted proxy's X-Forwarded-For header; None without one.

        Each proxy appends its peer, so the client is the last address that is no trusted proxy:
        the client itself may have written what is before. When all are trusted it is the first.
        """
        stations = [
            station.strip().decode("latin-1")
            for name, value in headers
            if name == FORWARDED_FOR
            for station in value.split(b",")
        ]
        for station in reversed(stations):
            address = _address(station)
            if address is None:
                return None
            if not self._is_trusted(address):
                return self.name(station)
        return self.name(stations[0]) if stations else None

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
