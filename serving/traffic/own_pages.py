"""Requests that a page of another site has a browser send: they change nothing here.

A browser sends a simple request to any address that its owner can reach, loopback too, and with it
the password that it remembers. It says for which page: in `Sec-Fetch-Site` to addresses that it
trusts, in `Origin` to all. Programs send neither.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from serving.refusals import RequestRefusedError

_OF_OURS = frozenset({"same-origin", "none"})
_SENTENCE = (
    "this request comes from a page of another site, and only the server's own pages may change "
    "which models are loaded; send it from a program"
)


def require_own_page(headers: Mapping[str, str], *, needs_key: bool) -> None:
    """Raise RequestRefusedError with status 403 for a request of another site's page.

    Where no key is needed, a name that somebody else's DNS points here is another site, too.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in _OF_OURS:
        raise RequestRefusedError(403, _SENTENCE)
    if origin is None:
        return
    is_own = site is not None or origin.partition("://")[2] == headers.get("host")
    if not is_own or not (needs_key or _is_address(origin)):
        raise RequestRefusedError(403, _SENTENCE)


def _is_address(origin: str) -> bool:
    """Say whether a page's origin is an address or localhost, which no DNS of others decides."""
    try:
        host = urlsplit(origin).hostname or ""
        return host == "localhost" or bool(ipaddress.ip_address(host))
    except ValueError:
        return False
