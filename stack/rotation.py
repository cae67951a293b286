"""Keep logs within a bound while processes write to them.

A full log is copied to `NAME.log.1` and truncated in place: its writer has it open for appending
and goes on at the start. Lines written between the copy and the cut are lost, which costs less
than a supervisor through which every line has to pass, and whose death would silence all.
"""

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 5_000_000


def rotate(folder: Path, limit: int = LIMIT_BYTES) -> None:
    """Cut every log of a folder that is over the limit, keeping one older part of it."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)
