"""A real S3 server for tests: SeaweedFS, on ports of its own, killed by its process id.

Two test runs may go side by side. A killed server that is started again answers on the same ports
with the same objects, which is how a test takes the network away.
"""

import itertools
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import obstore
from obstore.store import S3Store

_WEED = Path(sys.executable).parent / "weed"
_SERVERS = ("master", "volume", "filer", "s3", "admin")
_PORTS = [f"{name}.port{kind}" for name in _SERVERS for kind in ("", ".grpc")]
_KEY = "ratchet-test-key"
_BUCKET = "ratchet-test"
_PATIENCE = 30.0


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket that nobody else writes to, and what a client needs to reach it."""

    url: str
    options: Mapping[str, str]


class Seaweed:
    """One S3 server with one bucket."""

    def __init__(self, folder: Path) -> None:
        """`folder` keeps the objects; the server is started by `start`."""
        self._folder = folder
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self.options: Mapping[str, str] = MappingProxyType(
            {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._ports['s3.port']}",
                "AWS_ACCESS_KEY_ID": _KEY,
                "AWS_SECRET_ACCESS_KEY": _KEY,
                "AWS_REGION": "us-east-1",
                "AWS_ALLOW_HTTP": "true",
                "aws_conditional_put": "etag",
            }
        )

    def fresh(self) -> Bucket:
        """Return a place that no test had before."""
        return Bucket(f"s3://{_BUCKET}/{next(self._numbers)}", self.options)

    def start(self) -> None:
        """Start the server and wait until it takes an object."""
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        fixed = [
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", "-webdav=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false"),
            *(f"-{name}.localSocket={self._folder / name}" for name in ("filer", "s3")),
            "-master.telemetry=false",
        ]
        ports = [f"-{name}={port}" for name, port in self._ports.items()]
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_WEED, "mini", *fixed, *ports],
                env={"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _KEY, "HOME": str(data)},
                stdout=log,
                stderr=log,
            )
        self._wait()

    def stop(self) -> None:
        """Kill the server as a crash would; what it acknowledged stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        store = S3Store(
            _BUCKET,
            endpoint=self.options["AWS_ENDPOINT_URL"],
            access_key_id=_KEY,
            secret_access_key=_KEY,
            region=self.options["AWS_REGION"],
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                obstore.put(store, "ready", b"")
            except obstore.exceptions.BaseError:
                if time.monotonic() > deadline:
                    log = (self._folder / "weed.log").read_text(errors="replace")
                    raise TimeoutError(f"SeaweedFS did not start: {log[-2000:]}") from None
                time.sleep(0.1)
            else:
                return


@contextmanager
def seaweed(folder: Path) -> Iterator[Seaweed]:
    """Run a server while the block runs."""
    server = Seaweed(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _free_ports(number: int) -> list[int]:
    """Return ports that no outgoing connection can get while the server is away."""
    found: set[int] = set()
    while len(found) < number:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.add(port)
    return list(found)
