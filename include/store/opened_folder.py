"""What is done in an opened folder of a disk, relative to it; see `folder`."""

import errno
import fcntl
import os
import uuid
from contextlib import suppress
from typing import BinaryIO

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Where somebody has put a pipe in place of a file, nobody waits for its other end.
FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def linked(parent: int, name: str, data: bytes) -> bool:
    """Write a file whole under a name that nothing has; return whether nothing had it."""
    # A name of its own: what a killed attempt leaves may be the very file that it linked.
    partial = f".{uuid.uuid4()}.part"
    opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o666, dir_fd=parent)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(data)
        os.link(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
    except FileExistsError:
        return False
    finally:
        os.unlink(partial, dir_fd=parent)
    return True


def locked(parent: int, name: str) -> BinaryIO | None:
    """Open a temporary file, empty and locked; None when the caller has to try again."""
    try:
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | FILE, 0o666, dir_fd=parent)
    except FileNotFoundError:  # another process dropped the folder as empty
        return None
    file = os.fdopen(opened, "ab")
    fcntl.flock(file, fcntl.LOCK_EX)
    # Who waited here may hold what another writer has given its name by now.
    with suppress(FileNotFoundError):
        if os.path.samestat(os.stat(name, dir_fd=parent, follow_symlinks=False), os.fstat(opened)):
            file.truncate(0)
            return file
    file.close()
    return None


def step_into(folder: int, name: str, *, make: bool) -> int:
    """Open a subfolder, created if `make`; NotADirectoryError when the name is a link."""
    if name == "..":
        raise OSError(errno.EINVAL, "leads out of its folder", name)
    while True:
        try:
            return os.open(name, FOLDER, dir_fd=folder)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
