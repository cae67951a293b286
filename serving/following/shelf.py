"""The server's own copies of bundles: what it serves from when the registry is away.

`<home>/<name>/<version>/` is whole or absent, and `<home>/<name>/champion.json` names the last
version that was really served, with the digest that its files must still have.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from include.bundle import BundleRefusedError, read_manifest

_RECORD = "champion.json"


@dataclass(frozen=True)
class Copy:
    """A version that was served before, and the digest that pins it."""

    name: str
    version: str
    digest: str


class Shelf:
    """Folders below one home; a second server must have a home of its own."""

    def __init__(self, home: Path) -> None:
        """Make the home if it is missing and drop downloads that an earlier end cut short."""
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        for unfinished in home.glob("*/.download-*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def folder(self, name: str, version: str) -> Path:
        """Return where a version's files are, or would be."""
        return self._shelf(name) / _safe(version)

    def begin(self, name: str) -> Path:
        """Return a new empty folder to download into."""
        shelf = self._shelf(name)
        shelf.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".download-", dir=shelf))

    def has(self, copy: Copy) -> bool:
        """Say whether a copy with this digest is here; its model file is verified when opened."""
        try:
            read_manifest(self.folder(copy.name, copy.version), copy.digest)
        except BundleRefusedError:
            return False
        return True

    def keep(self, download: Path, copy: Copy) -> None:
        """Put a whole download in its place, over what was there."""
        place = self.folder(copy.name, copy.version)
        shutil.rmtree(place, ignore_errors=True)
        download.rename(place)

    def drop(self, folder: Path) -> None:
        """Remove a download or a copy."""
        shutil.rmtree(folder, ignore_errors=True)

    def record(self, copy: Copy) -> None:
        """Note that this version serves now; keep it and the one before, remove the others."""
        shelf = self._shelf(copy.name)
        before = self._read(shelf)
        draft = shelf / f".{_RECORD}"
        draft.write_text(json.dumps({"version": copy.version, "digest": copy.digest}))
        draft.replace(shelf / _RECORD)
        kept = {_safe(copy.version)} | ({_safe(before.version)} if before else set())
        for folder in shelf.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def last_good(self, name: str) -> Copy | None:
        """Return the version of a name that was served last, if there was one."""
        return self._read(self._shelf(name))

    def names(self) -> list[str]:
        """Return the names that have a shelf, sorted."""
        return sorted(unquote(path.name) for path in self._home.iterdir() if path.is_dir())

    def _shelf(self, name: str) -> Path:
        return self._home / _safe(name)

    def _read(self, shelf: Path) -> Copy | None:
        try:
            fields = json.loads((shelf / _RECORD).read_text())
            return Copy(unquote(shelf.name), str(fields["version"]), str(fields["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            # No record, or one that was damaged: there is nothing to fall back on, which is no
            # reason to stop following the registry.
            return None


def _safe(name: str) -> str:
    """Return a folder name for any registry name; no name leads out of the home."""
    return quote(name, safe=" ").replace(".", "%2E")
