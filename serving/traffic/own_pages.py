"""Refuses requests that a web page of another site makes a browser send (CSRF).

A browser sends a simple request to any address that it can reach, also on loopback, together with
the password that it has stored. It names the page's site: in `Sec-Fetch-Site` to trustworthy
addresses, in `Origin` to all. Programs send neither header.
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

    Without keys, a host name counts as another site too, because anybody's DNS may point here.
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
    """Return whether an origin is an IP address or localhost, which need no DNS of others."""
    try:
        host = urlsplit(origin).hostname or ""
        return host == "localhost" or bool(ipaddress.ip_address(host))
    except ValueError:
        return False
