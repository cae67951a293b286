"""Which failures are a full disk."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from deltalake.exceptions import DeltaError

from include.context.full_disk import require_room, room_required
from include.errors import FullDiskError
from include.settings import read_settings
from include.spec.model_spec import Spec


def room(monkeypatch: pytest.MonkeyPatch, *, blocks: int, files: int) -> None:
    """Let every disk have so many free blocks of 4 kB and so many free file entries."""
    status = SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_files=1000, f_favail=files)
    monkeypatch.setattr(os, "statvfs", lambda _: status)


FULL = [
    (OSError(errno.ENOSPC, "No space left on device"), 10_000, 100),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), 10_000, 100),
    (OSError("Generic LocalFileSystem error"), 0, 100),
    (DeltaError("Generic LocalFileSystem error"), 0, 100),
    (DeltaError("Generic LocalFileSystem error"), 10_000, 0),
]
NOT_FULL = [
    (OSError(errno.ENOENT, "No such file"), 0, 100),
    (DeltaError("Generic LocalFileSystem error"), 10_000, 100),
    (KeyError("x"), 0, 100),
]


@pytest.mark.parametrize(("error", "blocks", "files"), FULL)
def test_a_full_disk_is_named(  # noqa: PLR0913, PLR0917 - a row of a table
    error: Exception,
    blocks: int,
    files: int,
    spec: Spec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By number, by quota, or by looking, where a library says it in words of its own."""
    room(monkeypatch, blocks=blocks, files=files)
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    with pytest.raises(FullDiskError, match="no space is left on the disk with") as told:
        require_room(error, spec, settings)
    assert told.value.__cause__ is error
    if blocks * files == 0:
        assert str(tmp_path) in str(told.value)


@pytest.mark.parametrize(("error", "blocks", "files"), NOT_FULL)
def test_another_failure_is_left_as_it_is(  # noqa: PLR0913, PLR0917 - a row of a table
    error: Exception,
    blocks: int,
    files: int,
    spec: Spec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that is not there is not there on a full disk either."""
    room(monkeypatch, blocks=blocks, files=files)
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    with pytest.raises(type(error)) as raised, room_required(spec, settings):
        raise error
    assert raised.value is error
