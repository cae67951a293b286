# ruff: noqa: INP001 - a script beside the documents whose picture it takes, not a package
"""`python -m docs.screenshots`: take the picture of a run's graph that the README shows.

Of the stack that runs in RATCHET_HOME, where the demo's Dag has a run that trained. Needs Chromium:
Debian's package `chromium`, or what the variable CHROMIUM names.
"""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from demo.airflow_api import Airflow
from include.settings import PROJECT, Settings, read_settings

DAG = "santander"
PICTURES = PROJECT / "docs" / "pictures"
PATIENCE_SECONDS = 240.0
REST_SECONDS = 5.0
MARGIN = 32
NODES = ".react-flow__node"
GROUPS = ("data", "select")
LAST_TASK = "report"


class Page:
    """The page of a browser, by its DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        """Take a connection to the page."""
        self._connection = connection
        self._number = 0

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == self._number:
                return answer["result"]

    def open(self, url: str, size: tuple[int, int], remembered: dict[str, Any]) -> None:
        """Open an address, with what the browser would remember of earlier visits."""
        width, height = size
        shape = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False}
        pairs = json.dumps({key: json.dumps(value) for key, value in remembered.items()})
        remember = f"Object.entries({pairs}).forEach(pair => localStorage.setItem(...pair))"
        self.call("Page.enable")
        self.call("Emulation.setDeviceMetricsOverride", **shape)
        self.call("Page.addScriptToEvaluateOnNewDocument", source=remember)
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """Return what an expression gives in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true in the page, and what moves there has come to rest."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page never came to {expression}")
            time.sleep(0.5)
        time.sleep(REST_SECONDS)

    def take(self, name: str, clip: dict[str, float] | None = None) -> None:
        """Write a picture of the page, or of a part of it."""
        part = {"clip": clip | {"scale": 1}} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", **part)["data"]
        (PICTURES / name).write_bytes(base64.b64decode(data))
        sys.stdout.write(f"docs/pictures/{name}\n")


@contextmanager
def browser() -> Iterator[Page]:
    """Start a browser that remembers nothing, yield its page, and end it."""
    with TemporaryDirectory() as folder:
        words = [os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox"]
        words += ["--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        words += [f"--user-data-dir={folder}", "about:blank"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(words, stdout=quiet, stderr=quiet)  # noqa: S603 - our own words
        try:
            with connect(_page_of(Path(folder)), max_size=None, open_timeout=60) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            process.wait(30)


def _page_of(folder: Path) -> str:
    """Return the address of the page of a browser that keeps itself in a folder."""
    file = folder / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (file.exists() and file.read_text()):
        if time.monotonic() > deadline:
            raise TimeoutError("the browser did not start")
        time.sleep(0.2)
    port = file.read_text().split()[0]
    listed = httpx.get(f"http://127.0.0.1:{port}/json", timeout=60).json()
    return next(str(one["webSocketDebuggerUrl"]) for one in listed if one["type"] == "page")


def _around(page: Page, selector: str) -> dict[str, float]:
    """Return the rectangle around all elements of a kind."""
    boxes = page.value(
        f"[...document.querySelectorAll('{selector}')].map(one => one.getBoundingClientRect())"
        ".map(box => [box.left, box.top, box.right, box.bottom])"
    )
    left, top = (min(box[side] for box in boxes) - MARGIN for side in (0, 1))
    right, bottom = (max(box[side] for box in boxes) + MARGIN for side in (2, 3))
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def take_graph(page: Page, settings: Settings, run_id: str) -> None:
    """Take the graph of a run."""
    remembered = {f"{DAG}/open-groups": GROUPS, "default_dag_view": "graph"}
    page.open(f"{settings.airflow_url}/dags/{DAG}/runs/{run_id}", (2600, 900), remembered)
    nodes = f"[...document.querySelectorAll('{NODES}')]"
    page.wait(f"{nodes}.some(one => one.innerText.includes('{LAST_TASK}'))")
    page.take("graph.png", _around(page, NODES))


def main() -> int:
    """Take it of the newest run that trained."""
    settings = read_settings()
    airflow = Airflow(settings.airflow_url)
    for run_id in airflow.run_ids(DAG):
        ended = {task.name: task.state for task in airflow.tasks(DAG, run_id)}
        if ended.get("serve") == "success":
            with browser() as page:
                take_graph(page, settings, run_id)
            return 0
    sys.stderr.write("No run has trained here: `make demo`, then `make up` with its home.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
