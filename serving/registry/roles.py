"""Gives roles to loaded versions and takes them away, each with a line in the log."""

import logging
from collections.abc import Collection

from serving.bundle import Bundle
from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion
from serving.registry.local_copies import LocalCopy

LOG = logging.getLogger("serving")


def loaded_version(copy: LocalCopy, bundle: Bundle) -> LoadedVersion:
    """Return the loaded version of a local copy."""
    return LoadedVersion(copy.name, copy.version, bundle, digest=copy.digest, source=copy.source)


def copy_of(held: LoadedVersion) -> LocalCopy:
    """Return the local copy that a version was loaded from."""
    return LocalCopy(held.name, held.version, held.digest, held.source)


def give_roles(holder: Holder, held: LoadedVersion, roles: Collection[Role]) -> None:
    """Let a loaded version have these roles, unless its model was taken out of service."""
    if holder.is_withdrawn(held.name):
        return
    for role in roles:
        is_news = holder.lineup(held.name).under(role) is not held
        holder.hold(held, role)
        if is_news:
            LOG.info("%s: version %s is %s now", held.name, held.version, role)


def release_role(holder: Holder, name: str, role: Role) -> None:
    """Take a role from whatever version of a model has it."""
    before = holder.lineup(name).under(role)
    holder.release(name, role)
    if before is not None:
        LOG.info("%s: version %s is %s no more", name, before.version, role)
