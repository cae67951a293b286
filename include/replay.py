"""Quarantine looked into, and sent back through landing.

Nothing in quarantine is lost and nothing goes around the contract: what is replayed lands as a
file like any other and is judged again, by the contract as it stands now.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from include.adapters.landing import Landing
from include.dock import Dock
from include.errors import NothingToDoError
from include.stages.ingest import raw_texts

_JSON = (".jsonl", ".ndjson", ".parquet")
_PACKED = (".gz", ".zst")
_SHOWN = 12


@dataclass(frozen=True)
class Quarantined:
    """What quarantine holds of one batch for one reason."""

    digest: str
    reason: str
    rows: int
    """0 for a file that was refused whole."""


def quarantined(landing: Landing) -> list[Quarantined]:
    """Return what is in quarantine and why, by digest."""
    found = []
    for digest in landing.quarantined():
        kept = landing.read_quarantine(digest)
        if kept.reason is not None:
            found.append(Quarantined(digest, f"{kept.name}: {kept.reason}", 0))
        reasons = Counter(row["reason"] for row in _rows(kept.rows or b""))
        found += [Quarantined(digest, reason, rows) for reason, rows in sorted(reasons.items())]
    return found


def replay(at: Dock, start: str, mended: bytes | None = None) -> str:
    """Drop what is in quarantine under a digest, or its start, and return the file's name.

    A file that was refused whole is dropped as it came. Refused rows become a file of their own
    with the header of the one they came in; `mended` is a copy of their `rows.csv` whose column
    `raw` somebody has repaired. NothingToDoError when nothing there can be sent.
    """
    landing = at.landing
    digest = _whole_digest(landing, start)
    kept = landing.read_quarantine(digest)
    rows = _rows(mended if mended is not None else kept.rows or b"")
    if rows:
        return _drop_rows(at, digest, [row["raw"] for row in rows])
    if kept.name is None:
        raise NothingToDoError(f"quarantine has no rows of {digest[:_SHOWN]} to send")
    with landing.open_refused(digest) as (name, file):
        landing.drop(name, Path(file.name))
    return name


def _whole_digest(landing: Landing, start: str) -> str:
    found = [digest for digest in landing.quarantined() if digest.startswith(start)]
    if len(found) != 1:
        raise NothingToDoError(
            f"{len(found)} batches in quarantine begin with {start!r}: "
            "`./ratchet quarantine SPEC` lists them"
        )
    return found[0]


def _drop_rows(at: Dock, digest: str, raw: list[str]) -> str:
    with at.landing.open_archived(digest) as (original, file):
        name = f"replay-{digest[:_SHOWN]}-{_unpacked(original)}"
        if name.endswith(_JSON):
            lines, name = raw, f"{name.rpartition('.')[0]}.jsonl"
        else:
            lines = [raw_texts(file, original, {1}, at.spec.data.target)[1], *raw]
    at.landing.drop(name, "".join(f"{line}\n" for line in lines).encode())
    return name


def _unpacked(name: str) -> str:
    return name.rpartition(".")[0] if name.lower().endswith(_PACKED) else name


def _rows(table: bytes) -> list[dict[str, str]]:
    text = io.StringIO(table.decode("utf-8-sig"), newline="")
    rows = list(csv.DictReader(text))
    if rows and not {"raw", "reason"} <= rows[0].keys():
        raise NothingToDoError("this is no copy of a rows.csv: its columns are not those of one")
    return rows
