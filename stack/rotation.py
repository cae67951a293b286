"""Keep logs within a bound while processes write to them.

A full log is copied to `NAME.log.1` and truncated in place: its writer has it open for appending
and goes on at the start. Lines written between the copy and the cut are lost, which costs less
than a supervisor through which every line has to pass, and whose death would silence all.
"""

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 5_000_000
_TAIL_BYTES = 20_000
_LONGEST_LINE = 400


def rotate(folder: Path, limit: int = LIMIT_BYTES) -> None:
    """Cut every log of a folder that is over the limit, keeping one older part of it."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def last_lines(log: Path, lines: int) -> tuple[str, ...]:
    """Return the end of a log, none of what is not there; long lines are cut."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ()
    found = [line.rstrip() for line in tail.splitlines() if line.strip()]
    return tuple(line[:_LONGEST_LINE] for line in found[-lines:])
