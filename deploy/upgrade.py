"""`make compose-upgrade`: back up, make the new images, replace the containers, with data kept.

Migrations run as the one-shots of every start, and what needs them waits for them. Whatever goes
wrong, the backup made first is what the release before starts from again.
"""

import argparse
import sys
import time
from pathlib import Path

from deploy.backup import back_up, default_folder, told
from deploy.stack_commands import Stack, run, say


def upgrade(stack: Stack, folder: Path, *, pull: bool) -> None:
    """Bring a stack to the release of this folder."""
    began = time.monotonic()
    for line in told(back_up(stack, folder)):
        say(line)
    say(f"{folder} is a backup ({time.monotonic() - began:.0f} s); making the images")
    began = time.monotonic()
    stack("pull" if pull else "build")
    say(f"images are there ({time.monotonic() - began:.0f} s); replacing the containers")
    began = time.monotonic()
    stack.start()
    say(f"all of it is healthy ({time.monotonic() - began:.0f} s)")


def main() -> None:
    """Upgrade, with a backup in the folder that is named or in a new one."""
    parser = argparse.ArgumentParser(prog="make compose-upgrade", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder("before-upgrade-"))
    parser.add_argument("--pull", action="store_true", help="take images from their registry")
    asked = parser.parse_args()
    upgrade(Stack(), asked.folder, pull=asked.pull)


if __name__ == "__main__":
    sys.exit(run(main))
