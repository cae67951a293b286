"""Recognises failures that come from a full disk, and finds out which disk it is.

The exceptions of libraries do not tell: a write to an open file carries no file name, and one made
in Rust carries no error number. So the free space of the folders that are written to is measured.
"""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from include.errors import FullDiskError, causes
from include.settings import Settings
from include.spec.model_spec import Spec
from include.store.address import local_folder
from include.store.units import KIB

_NONE_LEFT = {errno.ENOSPC, errno.EDQUOT}
_ROOM_BYTES = 64 * KIB
"""A disk with less free space counts as full."""


def require_room(error: BaseException, spec: Spec, settings: Settings) -> None:
    """Raise FullDiskError from `error` when a disk that the spec's steps write to is full.

    Returns, so that the caller can raise its own error, when no disk is full.
    """
    numbers = {one.errno for one in causes(error) if isinstance(one, OSError)}
    is_system = any(isinstance(one, OSError) for one in causes(error))
    if not _NONE_LEFT & numbers and numbers - {None}:
        return  # the system gave another reason
    stated = [settings.landing_url(spec.name, spec.landing or None), settings.lake_url]
    folders = [folder for folder in map(local_folder, stated) if folder is not None]
    full = _full([*folders, settings.home, Path(tempfile.gettempdir())])
    if _NONE_LEFT & numbers or (full and (is_system or _is_foreign(error))):
        raise FullDiskError(
            f"no space is left on the disk with {' and '.join(full) or _named(error)}: nothing is "
            "half there; free some space there, then do this again"
        ) from error


@contextmanager
def room_required(spec: Spec, settings: Settings) -> Iterator[None]:
    """Raise FullDiskError in place of an error of the block that comes from a full disk."""
    try:
        yield
    except Exception as error:
        require_room(error, spec, settings)
        raise


def _full(folders: Iterable[Path]) -> list[str]:
    """Return the folders whose disks have no free space, one folder for each disk."""
    found: dict[int, str] = {}
    for folder in folders:
        there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
        try:
            disk, device = os.statvfs(there), there.stat().st_dev
        except OSError:
            continue
        room = disk.f_bavail * disk.f_frsize
        if room < _ROOM_BYTES or (disk.f_files and not disk.f_favail):
            found.setdefault(device, str(folder))
    return list(found.values())


def _named(error: BaseException) -> str:
    names = (one.filename for one in causes(error) if isinstance(one, OSError) and one.filename)
    return str(next(names, "this command's files (its owner's share may be used up)"))


def _is_foreign(error: BaseException) -> bool:
    return not type(error).__module__.startswith(("include", "builtins"))
