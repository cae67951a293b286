"""What a backup is: a folder of dumps and one archive, and a manifest that proves it whole.

The manifest is written last and at once, so a folder without one is a backup that never ended. It
holds the size and SHA-256 of every file: what was damaged or exchanged since is refused before
anything of a stack is touched.
"""

import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.stack_commands import DATABASES, StackError

MANIFEST = "manifest.json"
ARCHIVE = "buckets.tar"
_FORM = 1
_PIECE = 2**20


def dump_of(database: str) -> str:
    """Return the name of a database's file."""
    return f"{database}.dump"


FILES = (*(dump_of(name) for name in DATABASES), ARCHIVE)


def key_print(secrets: Path) -> str | None:
    """Return what tells the key that Airflow encrypts with from another; it opens nothing."""
    try:
        lines = (secrets / "airflow.env").read_text().splitlines()
    except OSError:
        return None
    keys = [line for line in lines if line.startswith("AIRFLOW__CORE__FERNET_KEY=")]
    return hashlib.sha256("".join(keys).encode()).hexdigest() if keys else None


def new_folder(folder: Path) -> None:
    """Make the folder of a backup, for its owner alone; one with something in it is refused."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise StackError(f"{folder} cannot hold a backup: {error.strerror}") from error
    if taken:
        raise StackError(f"{folder} is not empty: a backup needs a folder of its own")


def complete(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a folder that has all its files, and return it."""
    files = {name: _measured(folder / name) for name in FILES}
    told = {"form": _FORM, **about, "buckets": _counted(folder / ARCHIVE), "files": files}
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(told, indent=1) + "\n")
    draft.replace(folder / MANIFEST)
    return told


def verified(folder: Path) -> dict[str, Any]:
    """Return the manifest of a backup that is whole; say what is wrong with any other."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        form, files = manifest["form"], manifest["files"]
    except FileNotFoundError as error:
        raise StackError(f"{folder} has no {MANIFEST}: no backup, or one half made") from error
    except OSError as error:
        raise StackError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{folder / MANIFEST} cannot be read: it is no manifest of a backup"
        ) from error
    if form != _FORM:
        raise StackError(f"{folder} is a backup of form {form}; this release reads form {_FORM}")
    for name in FILES:
        try:
            found = _measured(folder / name)
        except OSError as error:
            raise StackError(f"{folder / name}: {error.strerror}") from error
        if found != files.get(name):
            raise StackError(f"{folder / name} is not what was written: {found['bytes']} bytes")
    return dict(manifest)


def _measured(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _counted(archive: Path) -> dict[str, dict[str, int]]:
    """Return the number of objects of each bucket and their bytes, read from the archive itself."""
    counts: dict[str, dict[str, int]] = {}
    try:
        with tarfile.open(archive, mode="r:") as members:
            for member in members:
                bucket = member.name.partition("/")[0]
                count = counts.setdefault(bucket, {"objects": 0, "bytes": 0})
                count["objects"] += 1
                count["bytes"] += member.size
                members.members = []  # type: ignore[attr-defined] # else each header stays in memory
    except tarfile.TarError as error:
        raise StackError(f"{archive} cannot be read: {error}") from error
    return counts
