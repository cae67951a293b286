"""Hold the three lock files against what is known to be vulnerable.

Ends with 1 when a pinned version has a known vulnerability or pip-audit itself fails, and with 0
when none has one, or when the service that knows is not reachable or takes too long: then it says
that nothing was looked up.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.txt", "serving/requirements.txt", "requirements-dev.txt")
SERVICE = "https://api.osv.dev"
SECONDS = 180
"""For a lock file; it asks about each package by itself."""


@dataclass(frozen=True)
class Answer:
    """What pip-audit said of a lock file."""

    packages: int
    vulnerable: tuple[str, ...]
    """A line a known vulnerability: package, version, its names, the versions that mend it."""


def main() -> int:
    """Look every lock file up, print what was found, and return the exit code."""
    return audit(LOCKS, SERVICE, _command(SERVICE))


def audit(locks: Sequence[str], service: str, command: Sequence[str]) -> int:
    """Look lock files up of the project with a command to which the path of one is added."""
    code = 0
    for lock in locks:
        try:
            said = subprocess.run(  # noqa: S603 - fixed words
                [*command, str(PROJECT / lock)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            print(f"{lock} is not audited: {service} took longer than {SECONDS} s")
            continue
        answer = read(said.stdout)
        if answer is not None:
            print(f"{lock}: {answer.packages} packages, {len(answer.vulnerable)} vulnerabilities")
            print("".join(f"  {line}\n" for line in answer.vulnerable), end="")
            code |= bool(answer.vulnerable)
        elif is_reachable(service):
            print(f"pip-audit failed on {lock}:\n{said.stderr[-2000:]}")
            code = 1
        else:
            print(f"{lock} is not audited: {service} is not reachable from here")
    return code


def read(text: str) -> Answer | None:
    """Return what a JSON report of pip-audit says, None where it is none."""
    try:
        packages = json.loads(text)["dependencies"]
        lines = tuple(
            f"{one['name']} {one['version']}: {', '.join([bug['id'], *bug['aliases']])}; "
            f"mended in {', '.join(bug['fix_versions']) or 'no version'}"
            for one in packages
            for bug in one.get("vulns", ())
        )
    except (ValueError, KeyError, TypeError):
        return None
    return Answer(len(packages), lines)


def is_reachable(service: str) -> bool:
    """Say whether a service answers at all, be it with an error."""
    try:
        urllib.request.urlopen(service, timeout=10).close()  # noqa: S310 - a fixed address
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _command(service: str) -> list[str]:
    # No resolution: the lock files name every package, and nothing is to be downloaded.
    options = "--require-hashes --disable-pip --format json --progress-spinner off --timeout 15"
    where = ["--vulnerability-service", "osv", "--osv-url", f"{service}/v1/query"]
    return [sys.executable, "-m", "pip_audit", *options.split(), *where, "-r"]


if __name__ == "__main__":
    sys.exit(main())
