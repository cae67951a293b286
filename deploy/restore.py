"""`make restore`: databases and buckets become what a backup holds; nothing else stays of them.

A backup that is not whole is refused before anything is touched, and so is a stack that has data,
unless forced. What writes is stopped meanwhile; servers keep answering with the champion that they
hold, and follow the restored registry once it is there. Ended halfway it starts nothing, and is
run again.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from deploy.backup import told
from deploy.backup_files import ARCHIVE, dump_of, key_print, verified
from deploy.secret_files import FOLDER as SECRETS
from deploy.stack_commands import ANSWERING, DATABASES, STORES, Stack, StackError, run, say

_STOP_SECONDS = 10
"""Less than a fit is given otherwise: what it would write is not kept."""
_FOLLOW_SECONDS = 120.0
_RESULTS = "celery"
_TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
_CHAMPIONS = (
    "SELECT json_object_agg(name, version::text) FROM registered_model_aliases"
    " WHERE alias = 'champion'"
)
_READY = """
import urllib.error, urllib.request
try:
    answer = urllib.request.urlopen("http://127.0.0.1:8090/v2/health/ready", timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode())
"""


def restore(stack: Stack, folder: Path, *, force: bool) -> dict[str, str]:
    """Put a backup in place of what a stack has, start it, and return the champions of models."""
    manifest = verified(folder)
    key = manifest.get("key")
    if key is not None and key != key_print(stack.folder / SECRETS):
        raise StackError(
            f"{folder} was made with other secrets than those in {SECRETS}/: put those of its"
            " stack there first, for Airflow does not start on what it cannot decrypt"
        )
    for line in (f"{folder}: a backup of {manifest['at']}, whole", *told(manifest)):
        say(line)
    stack.start_stores()
    if not force and (present := _present(stack)):
        raise StackError(
            f"this stack has data ({', '.join(present)}), which would be gone: FORCE=1 says so"
        )
    _stop_writers(stack)
    _restore_databases(stack, folder)
    stack.given(folder / ARCHIVE, *stack.copy_buckets("in"))
    say("databases and buckets are those of the backup; starting")
    stack.start()
    champions = json.loads(stack.sql("mlflow", _CHAMPIONS) or "{}")
    _await_servers(stack, champions)
    return dict(champions)


def _present(stack: Stack) -> list[str]:
    """Return what there is that a restore would replace."""
    tables = {name: int(stack.sql(name, _TABLES)) for name in DATABASES}
    objects = json.loads(stack(*stack.copy_buckets("count")))
    return [
        *(f"database {name}: {number} tables" for name, number in tables.items() if number),
        *(f"bucket {name}: {number} objects" for name, number in objects.items() if number),
    ]


def _stop_writers(stack: Stack) -> None:
    """Stop all but the stores and what only answers; the queue, kept in memory, is empty then."""
    writers = stack.services_but(*STORES, *ANSWERING)
    stack("stop", f"--timeout={_STOP_SECONDS}", *writers)


def _restore_databases(stack: Stack, folder: Path) -> None:
    for name, role in {**DATABASES, _RESULTS: _RESULTS}.items():
        # As deploy/postgres/roles.sh makes them.
        stack.sql(
            "postgres",
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
            f'CREATE DATABASE "{name}" OWNER "{role}"',
            f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC',
        )
    # The results of the queue stay empty: they are of tasks that nobody remembers now.
    for name, role in DATABASES.items():
        options = ("--no-owner", f"--role={role}", "--exit-on-error", f"--dbname={name}")
        reader = ("exec", "-T", "postgres", "pg_restore", "--username=postgres", *options)
        stack.given(folder / dump_of(name), *reader)


def _await_servers(stack: Stack, champions: dict[str, str]) -> None:
    """Wait until every replica answers with the champions of the restored registry."""
    number = stack.scale().get("serving", 0)
    if any(_held(stack, index).keys() - champions.keys() for index in range(1, number + 1)):
        # A server never lets go by itself of a model that its registry has lost.
        say("servers hold models that the backup does not know; starting them anew")
        anew = ("--force-recreate", "--renew-anon-volumes", f"--scale=serving={number}")
        stack("up", "--wait", "--detach", "--no-deps", *anew, "serving")
    deadline = time.monotonic() + _FOLLOW_SECONDS
    for index in range(1, number + 1):
        while (held := _held(stack, index)) != champions:
            if time.monotonic() > deadline:
                raise StackError(
                    f"restored, but serving {index} answers with {_listed(held)} and not "
                    f"{_listed(champions)}: see `docker compose logs serving`"
                )
            time.sleep(1)


def _held(stack: Stack, index: int) -> dict[str, str]:
    """Return the champions that a replica holds, by its own word."""
    ask = ("exec", "-T", f"--index={index}", "serving", "python", "-c", _READY)
    models = json.loads(stack(*ask)).get("models", {})
    roles = {name: one["roles"].get("champion") for name, one in models.items()}
    return {name: role["version"] for name, role in roles.items() if role}


def _listed(champions: dict[str, str]) -> str:
    named = (f"{name} {version}" for name, version in sorted(champions.items()))
    return ", ".join(named) or "nothing"


def main() -> None:
    """Restore the backup that is named."""
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--force", action="store_true", help="replace the data that are there")
    asked = parser.parse_args()
    began = time.monotonic()
    champions = restore(Stack(), asked.folder, force=asked.force)
    for name, version in sorted(champions.items()):
        say(f"{name}: champion {version}, and the servers answer with it")
    say(f"restored in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(run(main))
