"""Records what was refused of each delivery, and which later delivery settled it.

It is stored beside archive and quarantine. `about/D` holds what was refused of delivery D,
`names/H/D` finds D by the hash H of its file's name, `promises/E/D` holds which rows of D the
delivery E brings again, and `settled/D/E` that E was ingested. `suspicious/D` says that D was found
suspicious, and `taken/D` that a person takes it as it is. Every method may be killed at any
instruction and called again.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from include.records.refusal_reasons import Refusal, SettledRows
from include.store import Store, open_store

_MOST_LOOKED_AT = 50
"""Only the newest refusals of a file name are read; a name may be refused every day for a year."""


class RefusalLedger:
    """The ledger of refusals of one spec."""

    def __init__(self, lake_url: str, options: Mapping[str, str]) -> None:
        """`lake_url` is the spec's place in the lake, `options` what `open_store` needs."""
        store = open_store(f"{lake_url}/refusals", options)
        self._about = store.at("about")
        self._names = store.at("names")
        self._promises = store.at("promises")
        self._settled = store.at("settled")
        self._suspicious = store.at("suspicious")
        self._taken = store.at("taken")

    def remember(self, refusal: Refusal) -> None:
        """Record a refusal, in place of an earlier one of the same delivery.

        What was settled stays settled when the same rows of a file are refused again; of a file
        that is refused whole nothing does.
        """
        if refusal.whole or self.about(refusal.digest) != refusal:
            for entry in self._settled.at(refusal.digest).look():
                self._settled.delete(f"{refusal.digest}/{entry.name}")
        # What was settled goes first: killed in between, rows are asked for once too often, never
        # too seldom.
        self._about.write(refusal.digest, json.dumps(asdict(refusal)).encode())
        self._names.write(f"{_hashed(refusal.name)}/{refusal.digest}", b"\n")

    def about(self, digest: str) -> Refusal | None:
        """Return what was refused of a delivery; None when nothing is recorded."""
        fields = _read(self._about, digest)
        return None if fields is None else Refusal(**fields)

    def suspect(self, digest: str) -> None:
        """Record that a delivery waits for a person who takes it as it is."""
        self._suspicious.write(digest, b"\n")

    def is_suspicious(self, digest: str) -> bool:
        """Return whether a delivery was found suspicious at any time."""
        return self._suspicious.entry(digest) is not None

    def take(self, digest: str) -> None:
        """Record that a person takes a delivery as it is."""
        self._taken.write(digest, b"\n")

    def is_taken(self, digest: str) -> bool:
        """Return whether a person has taken a delivery as it is."""
        return self._taken.entry(digest) is not None

    def unsettled_of_name(self, name: str) -> list[Refusal]:
        """Return the unsettled refusals of files of this name: the newest 50, newest first."""
        entries = self._names.at(_hashed(name)).look()
        newest = sorted(entries, key=lambda entry: entry.modified, reverse=True)
        found = [self.about(entry.name) for entry in newest[:_MOST_LOOKED_AT]]
        return [one for one in found if one is not None]

    def promise(self, digest: str, of: str, lines: Collection[int] | None) -> None:
        """Record that delivery `digest` brings refused rows of delivery `of` again.

        `lines` are the line numbers of these rows; None for all of them.
        """
        listed = None if lines is None else sorted(lines)
        self._promises.write(f"{digest}/{of}", json.dumps(listed).encode())

    def promises(self, digest: str) -> dict[str, SettledRows]:
        """Return what `promise` recorded of a delivery and `forget_promise` has not deleted.

        The keys are the digests of the deliveries whose refused rows it brings again.
        """
        store = self._promises.at(digest)
        return {entry.name: _rows_in(store, entry.name) for entry in store.look()}

    def settle(self, digest: str, by: str) -> None:
        """Mark the rows of `digest` that delivery `by` promised to bring as settled."""
        with suppress(FileNotFoundError):  # another run was faster
            self._settled.write(f"{digest}/{by}", self._promises.read(f"{by}/{digest}"))

    def forget_promise(self, digest: str, by: str) -> None:
        """Delete a promise, after everything that follows from it has been done."""
        self._promises.delete(f"{by}/{digest}")

    def close(self, refusal: Refusal) -> None:
        """Note that all of a refusal is settled: it is no longer found by its file's name."""
        self._names.delete(f"{_hashed(refusal.name)}/{refusal.digest}")

    def settled_deliveries(self) -> frozenset[str]:
        """Return the deliveries whose refusals are all settled; costs two listings."""
        waiting = {entry.name.rpartition("/")[2] for entry in self._names.walk()}
        return frozenset(entry.name for entry in self._about.look()) - waiting

    def settled_rows(self, digest: str) -> SettledRows:
        """Return which refused rows of a delivery have been brought again and ingested."""
        store = self._settled.at(digest)
        parts = [_rows_in(store, entry.name) for entry in store.look()]
        lines = frozenset[int]().union(*(part.lines for part in parts))
        return SettledRows(lines, any(part.everything for part in parts))


def _read(store: Store, name: str, unreadable: Any = None) -> Any:
    try:
        return json.loads(store.read(name))
    except (FileNotFoundError, ValueError):  # another run was faster, or a person wrote there
        return unreadable


def _rows_in(store: Store, name: str) -> SettledRows:
    """Return the rows that a record names; none where it cannot be read.

    So rows may be asked for once too often, never too seldom.
    """
    listed = _read(store, name, unreadable=[])
    lines = listed if isinstance(listed, list) else []
    return SettledRows(frozenset(lines), everything=listed is None)


def _hashed(name: str) -> str:
    # No store takes every name that a file may have as part of another.
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
