"""`make backup`: a copy of everything that a composed stack must not lose, while it runs.

First the databases, then the buckets. An artifact is written before it is named and nothing that
is named is deleted, so whatever the copied registry names is in the copied buckets. Work that is
under way is found half done, as after a crash, and done again by the restored stack.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.backup_files import ARCHIVE, complete, dump_of, key_print, new_folder
from deploy.secret_files import FOLDER as SECRETS
from deploy.stack_commands import DATABASES, Stack, run, say

FOLDER = Path("backups")


def back_up(stack: Stack, folder: Path) -> dict[str, Any]:
    """Write a backup into a folder and return its manifest."""
    began = datetime.now(UTC)
    new_folder(folder)
    stack.start_stores()
    # Airflow's first: then what it believes of a task is never ahead of what the task did.
    for name in DATABASES:
        dump = ("pg_dump", "--username=postgres", "--format=custom", name)
        stack.into(folder / dump_of(name), "exec", "-T", "postgres", *dump)
    stack.into(folder / ARCHIVE, *stack.copy_buckets("out"))
    at = began.isoformat(timespec="seconds")
    key = key_print(stack.folder / SECRETS)
    return complete(folder, {"at": at, "key": key, "images": stack.images()})


def told(manifest: dict[str, Any]) -> list[str]:
    """Return a backup in lines for people."""
    files, buckets = manifest["files"], manifest["buckets"]
    databases = [f"{name} {_size(files[dump_of(name)]['bytes'])}" for name in DATABASES]
    stored = [f"{name} {one['objects']} ({_size(one['bytes'])})" for name, one in buckets.items()]
    return [
        f"databases, as dumps: {', '.join(databases)}",
        f"objects in buckets: {', '.join(stored) or 'none'}",
    ]


def default_folder(name: str = "") -> Path:
    """Return a folder that is named after the time, in UTC."""
    return FOLDER / f"{name}{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB"


def main() -> None:
    """Back up into the folder that is named, or into a new one."""
    parser = argparse.ArgumentParser(prog="make backup", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder())
    folder = parser.parse_args().folder
    began = time.monotonic()
    manifest = back_up(Stack(), folder)
    for line in told(manifest):
        say(line)
    say(f"{folder} is a backup, made in {time.monotonic() - began:.0f} s")
    say("passwords and keys are not in it: keep .secrets/ where your passwords are")


if __name__ == "__main__":
    sys.exit(run(main))
