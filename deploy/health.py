"""A container's health: `python deploy/health.py URL [PART]`.

Ends with 0 when the address answers 200 and, where a part is named, when Airflow's health report
calls that part healthy. Nothing but the standard library: it runs every few seconds.
"""

import json
import sys
import urllib.error
import urllib.request

_SECONDS = 5.0


def problem(url: str, part: str = "") -> str:
    """Return why it is not healthy; empty when it is."""
    # A company proxy must not be asked for a neighbour.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_SECONDS) as answer:
            body = answer.read()
    except (OSError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', None) or error}"
    if not part:
        return ""
    told = (json.loads(body).get(part) or {}).get("status")
    return "" if told == "healthy" else f"{part} is {told}"


if __name__ == "__main__":
    sys.exit(problem(*sys.argv[1:]) or 0)
