# ruff: noqa: INP001 - a script beside the documents, not a package
"""A browser without a window, asked over its DevTools protocol, and pictures of its page."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PATIENCE_SECONDS = 240.0
REST_SECONDS = 5.0
MARGIN = 32


@dataclass(frozen=True)
class View:
    """What is opened: an address, in a window, by somebody whose browser remembers things."""

    url: str
    size: tuple[int, int]
    sharpness: int = 1
    """Dots of a screen for each dot of the page."""
    remembered: dict[str, Any] = field(default_factory=dict)


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

    def open(self, view: View) -> None:
        """Open an address."""
        width, height = view.size
        shape = {"width": width, "height": height, "mobile": False}
        pairs = json.dumps({key: json.dumps(value) for key, value in view.remembered.items()})
        remember = f"Object.entries({pairs}).forEach(pair => localStorage.setItem(...pair))"
        self.call("Page.enable")
        self.call("Emulation.setDeviceMetricsOverride", **shape, deviceScaleFactor=view.sharpness)
        self.call("Page.addScriptToEvaluateOnNewDocument", source=remember)
        self.call("Page.navigate", url=view.url)

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

    def press(self, selector: str) -> None:
        """Press a button, and wait until what moves has come to rest."""
        self.call("Runtime.evaluate", expression=f"document.querySelector('{selector}').click()")
        time.sleep(REST_SECONDS)

    def take(self, file: Path, clip: dict[str, float] | None = None) -> None:
        """Write a picture of the page, or of a part of it."""
        part = {"clip": clip | {"scale": 1}} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", **part)["data"]
        file.write_bytes(base64.b64decode(data))

    def around(self, selector: str) -> dict[str, float]:
        """Return the rectangle around all elements of a kind."""
        boxes = self.value(
            f"[...document.querySelectorAll('{selector}')].map(one => one.getBoundingClientRect())"
            ".map(box => [box.left, box.top, box.right, box.bottom])"
        )
        left, top = (min(box[side] for box in boxes) - MARGIN for side in (0, 1))
        right, bottom = (max(box[side] for box in boxes) + MARGIN for side in (2, 3))
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}


@contextmanager
def browser() -> Iterator[Page]:
    """Start a browser that remembers nothing, yield its page, and end it.

    It is Debian's package `chromium`, or what the variable CHROMIUM names.
    """
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
