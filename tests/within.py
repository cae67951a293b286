"""`python within.py MINUTES COMMAND...`: run a command, and end it when it takes longer than that.

It hears Ctrl-C, a hang-up and a termination however it was started, and so does what it starts:
under `nohup`, or in the background of a shell, they would all ignore one of them. It is a plain
script that needs nothing but Python, so that it also guards a set-up that is not there yet.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

LAST_WORDS_SECONDS = 60
HEARD = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


def main(minutes: str, *command: str) -> int:
    """Return the command's exit code, or 124 when it had to be ended."""
    for number in HEARD:
        signal.signal(number, signal.SIG_DFL)
    process = subprocess.Popen(command, start_new_session=True)
    for number in HEARD:
        signal.signal(number, _handing_on(process.pid))
    try:
        return process.wait(60 * float(minutes))
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{' '.join(command)} did not end within {minutes} minutes\n")
    _end(process)
    return 124


def _handing_on(group: int) -> Callable[[int, FrameType | None], None]:
    return lambda number, _: os.killpg(group, number)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Interrupt the command, so that it says how far it came; then end all that it has started."""
    started = _descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(LAST_WORDS_SECONDS)
    for pid in started | _descendants(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _descendants(ancestor: int) -> set[int]:
    """Return the processes below a process and itself, whatever sessions they have made."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    family, size = {ancestor}, 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, parent in parents if parent in family}
    return family


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
