"""Moves damaged checkpoints out of Delta's log, which can be read without them.

A checkpoint summarises the log entries before it. Delta's reader starts from the newest checkpoint,
or from the one in `_last_checkpoint`, and fails when that is unreadable. Ratchet never truncates a
log, so every summarised entry still exists.
"""

import logging
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from include.adapters.lake.commits import COMMIT
from include.store import Store

LOG_FOLDER = "_delta_log"
HINT = "_last_checkpoint"
_DERIVED = re.compile(rf"\d{{20}}\.checkpoint\..*|{HINT}", re.ASCII | re.DOTALL)
log = logging.getLogger("ratchet")


def set_aside(lake: Store, version: int | None) -> bool:
    """Move checkpoints and `_last_checkpoint` out of the log of a table that does not open.

    `version` is the one that failed to open, None for the newest. Returns whether they were the
    cause: the log's entries alone open that version. Where nothing is left to move, another process
    was faster.
    """
    if not _opens_by_entries(lake, version):
        return False
    derived = [
        one.name for one in lake.at(f"rows/{LOG_FOLDER}").look() if _DERIVED.fullmatch(one.name)
    ]
    to = f"{folder_aside()}/{LOG_FOLDER}"
    for name in derived:
        with suppress(FileNotFoundError):  # another process does the same
            lake.move(f"rows/{LOG_FOLDER}/{name}", f"{to}/{name}")
    if derived:
        log.warning(
            "the table %s/rows could not be opened by its checkpoint, which is lost or damaged: it "
            "is in %s now, and the log's own entries say the same",
            lake.url,
            to,
        )
    return True


def folder_aside() -> str:
    """Return a folder of the lake, named after this second, for what is moved out of the table."""
    return f"set-aside/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"


def _opens_by_entries(lake: Store, version: int | None) -> bool:
    """Return whether a copy of the log that has no checkpoint opens.

    Delta has one exception for whatever goes wrong, and only its words tell a damaged checkpoint
    from a version that never was, a damaged entry or a table of a newer kind.
    """
    source = lake.at(f"rows/{LOG_FOLDER}")
    with tempfile.TemporaryDirectory() as folder:
        for entry in source.look():
            if COMMIT.fullmatch(entry.name):
                source.fetch(entry.name, Path(folder, LOG_FOLDER, entry.name))
        try:
            DeltaTable(folder, version=version)
        except DeltaError:
            return False
    return True
