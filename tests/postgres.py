"""A real PostgreSQL server for tests, on a socket of its own in a folder of its own.

PostgreSQL refuses to run as root: there it runs as the account that its packages make, or as
nobody. Without its programs a test that asks for it is skipped with a sentence.
"""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PROGRAMS = "/usr/lib/postgresql"
_USERS = ("postgres", "nobody")


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server and give the URL that SQLAlchemy reaches it by."""
    programs, prefix = _programs(), _as_somebody()
    # Not below a folder of the tests, which other accounts may not enter; sockets need short paths.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if prefix:
            shutil.chown(folder, prefix[2])
        made: tuple[str | Path, ...] = (*prefix, programs / "initdb", "-D", folder / "data")
        _run(*made, "-A", "trust", *_PLAIN)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        control: tuple[str | Path, ...] = (
            *prefix,
            programs / "pg_ctl",
            "-D",
            folder / "data",
            "-w",
        )
        _run(*control, "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql+psycopg2://ratchet@/postgres?host={folder}"
        finally:
            _run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_PLAIN = ("-U", "ratchet", "-E", "UTF8", "--no-locale", "-N")


def _programs() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path(_PROGRAMS).glob("*/bin/initdb"), key=lambda item: int(item.parts[-3]))
    if not versions:
        pytest.skip("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    return versions[-1].parent


def _as_somebody() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    known = Path("/etc/passwd").read_text()
    user = next((one for one in _USERS if f"\n{one}:" in known), None)
    if user is None or shutil.which("runuser") is None:
        pytest.skip(
            f"PostgreSQL does not run as {getpass.getuser()}, and there is no other account"
        )
    return ("runuser", "-u", user, "--")


def _run(*command: str | Path) -> None:
    # Its output is not read to its end: the server would hold the pipe open.
    done = subprocess.run(
        command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, command
