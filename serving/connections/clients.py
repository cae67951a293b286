"""Whose a connection is: the address at its other end, or the one that a trusted proxy names."""

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED_FOR = b"x-forwarded-for"
_ONE_SITE = 64
"""Whoever has an IPv6 address has all of those that begin with the same 64 bits."""


class Clients:
    """Names clients; only proxies of these networks are believed when they name one."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        """Trust these networks' hosts to say whom they ask for."""
        self._trusted = tuple(trusted)

    def is_proxy(self, host: str) -> bool:
        """Return whether a host is trusted to say whom it asks for."""
        address = _address(host)
        return address is not None and self._is_trusted(address)

    def name(self, host: str) -> str:
        """Return what a client is counted by."""
        address = _address(host)
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, _ONE_SITE), strict=False))
        return host if address is None else str(address)

    def behind(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the client that a trusted proxy asks for; None when it names none.

        Each proxy adds whom it speaks to at the end, so it is the last that is no proxy itself:
        what stands before was written by the client. Where all are trusted it is the first.
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
