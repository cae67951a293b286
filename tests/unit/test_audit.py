"""Known vulnerabilities stop the build; a network that is away does not."""

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from include.settings import PROJECT

NOWHERE = "http://127.0.0.1:1"
BUG = {"id": "PYSEC-1", "aliases": ["CVE-2"], "fix_versions": ["1.1"]}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("audit", PROJECT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as a service does that knows no such page."""
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def service() -> Iterator[str]:
    """Run a service that is there."""
    with HTTPServer(("127.0.0.1", 0), _Refuses) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def saying(text: str, code: int) -> list[str]:
    """Return a command that prints this, and nothing of the file that it is given."""
    return [sys.executable, "-c", f"import sys; print({text!r}); sys.exit({code})"]


def report(*bugs: dict[str, Any]) -> str:
    """Return what pip-audit says of one package with these bugs."""
    package = {"name": "wood", "version": "1.0", "vulns": list(bugs)}
    return json.dumps({"dependencies": [package], "fixes": []})


LOCK = "requirements.txt"


def test_a_known_vulnerability_fails(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """With package, names and what mends it, whatever pip-audit's own exit code is."""
    assert audit.audit([LOCK], NOWHERE, saying(report(BUG), 0)) == 1
    told = capsys.readouterr().out
    assert "requirements.txt: 1 packages, 1 vulnerabilities" in told
    assert "wood 1.0: PYSEC-1, CVE-2; mended in 1.1" in told


def test_none_is_none(audit: ModuleType) -> None:
    """A report without a bug passes."""
    assert audit.audit([LOCK], NOWHERE, saying(report(), 0)) == 0


def test_without_a_network_it_says_so(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """And passes: a build on a machine of its own is not to fail for that."""
    assert audit.audit([LOCK], NOWHERE, saying("no report", 1)) == 0
    assert "requirements.txt is not audited" in capsys.readouterr().out


def test_a_failure_beside_a_service_that_answers_fails(audit: ModuleType) -> None:
    """A lock file that cannot be read must not pass for a network that is away."""
    with service() as url:
        assert audit.audit([LOCK], url, saying("[]", 1)) == 1


def test_a_service_that_takes_for_ever_is_left(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each lock file has its time."""
    monkeypatch.setattr(audit, "SECONDS", 0.2)
    hangs = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert audit.audit([LOCK], NOWHERE, hangs) == 0
    assert "took longer" in capsys.readouterr().out


def test_all_lock_files_are_looked_up(audit: ModuleType) -> None:
    """The three that `make lock` writes."""
    written = re.findall(r"-o (\S+)", (PROJECT / "Makefile").read_text())
    assert sorted(audit.LOCKS) == sorted(written)
