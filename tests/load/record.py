"""For Locust beside a locustfile: writes when each answer was asked for, came, and who gave it.

One JSON array a line, [asked, came, version], on the clock of `time.monotonic` in seconds, which
all processes of a machine share; into the file that LOAD_RECORD names.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from locust import events

_FILE = Path(os.environ["LOAD_RECORD"]).open("a", buffering=1)  # noqa: SIM115 - until Locust ends


@events.request.add_listener  # type: ignore[untyped-decorator] # Locust's own
def _note(response_time: float, response: Any, name: str, **_more: Any) -> None:
    came = time.monotonic()
    if name.endswith(" rows") and response is not None and response.status_code == 200:
        asked = came - response_time / 1000
        _FILE.write(json.dumps([asked, came, response.json()["model_version"]]) + "\n")
