"""Recognises failures that come from missing permissions, on disk and in MLflow, and names them.

The exceptions of libraries do not tell: one made in Rust carries no error number, and a file that
was opened relative to its folder is named without it. So the places of the spec are looked through.
"""

import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from include.context.places import LAKE_LIBRARIES, without_password
from include.errors import DeniedError, causes
from include.settings import Settings
from include.spec.model_spec import Spec
from include.store.address import local_folder

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def access_required(spec: Spec, settings: Settings) -> Iterator[None]:
    """Raise DeniedError in place of an error of the block that comes from missing permissions."""
    try:
        yield
    except Exception as error:
        require_access(error, spec, settings)
        raise


def require_access(error: BaseException, spec: Spec, settings: Settings) -> None:
    """Raise DeniedError from `error` when the user may not use a place of the spec.

    Returns, so that the caller can raise its own error, when that is not the cause.
    """
    _require_account(error, spec, settings)
    reasons = [one for one in causes(error) if isinstance(one, OSError)]
    said = next((one for one in reasons if one.errno in _DENIED), None)
    if said is None and not _is_of_a_library(error):
        return
    landing = settings.landing_url(spec.name, spec.landing or None)
    places = (landing, f"{settings.lake_url}/{spec.name}")
    local = (folder for folder in map(local_folder, places) if folder is not None)
    found = next((path for root in local for path in _denied(root)), None)
    place = found or (said.filename if said else None)
    if place is None:
        return
    raise DeniedError(
        f"the {_user()} may not {_use(found)} {place}, which the spec {spec.name} needs: nothing "
        f"is half there. {_advice(said, place)}, then do this again"
    ) from error


def _require_account(error: BaseException, spec: Spec, settings: Settings) -> None:
    """Raise DeniedError from `error` when MLflow refuses the account that it was asked with."""
    answers = {_status(one) for one in causes(error)}
    url = without_password(settings.registry_url)
    if HTTPStatus.UNAUTHORIZED in answers:
        raise DeniedError(
            f"MLflow at {url} asks for an account that it knows: name one in "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, then do this again"
        ) from error
    if HTTPStatus.FORBIDDEN in answers:
        account = os.environ.get("MLFLOW_TRACKING_USERNAME") or "this process"
        raise DeniedError(
            f"MLflow at {url} does not let {account} do what the spec {spec.name} needs: it takes "
            f"MANAGE on the experiments {spec.name} and {spec.name} ledger and on the registered "
            f"model {spec.model}. Give it that in MLflow, then do this again"
        ) from error


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that MLflow's client raised; None for another error."""
    if not type(error).__module__.startswith("mlflow."):
        return None
    status = getattr(error, "get_http_status_code", None)
    return int(status()) if status else None


def _is_of_a_library(error: BaseException) -> bool:
    named = {type(one).__module__.partition(".")[0] for one in causes(error)}
    unnumbered = (isinstance(one, OSError) and one.errno is None for one in causes(error))
    return bool(named & LAKE_LIBRARIES) or any(unnumbered)


def _denied(root: Path) -> Iterator[Path]:
    """Yield the folders at or below a folder that this user may not read and write, and files."""
    if not os.path.lexists(root):  # it would be made in the nearest folder that there is
        above = next((one for one in root.parents if os.path.lexists(one)), root)
        if not os.access(above, os.W_OK | os.X_OK):
            yield above
        return
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        yield root
    for folder, folders, files in os.walk(root):
        kinds = [(name, os.R_OK | os.W_OK | os.X_OK) for name in folders]
        for name, needed in (*kinds, *((name, os.R_OK) for name in files)):
            path = Path(folder, name)
            if not path.is_symlink() and not os.access(path, needed):
                yield path


def _use(place: Path | None) -> str:
    if place is None:
        return "use"
    return "write to" if os.access(place, os.R_OK) else "read"


def _advice(said: OSError | None, place: object) -> str:
    if said is not None and said.errno == errno.EROFS:
        return "Its disk is mounted read-only: look at the disk, mount it writable"
    return f"Give it to that user (chown -R USER {place}), or change its mode"


def _user() -> str:
    number = os.geteuid()
    with suppress(KeyError):  # as in a container that has no such user
        return f"user {pwd.getpwuid(number).pw_name}"
    return f"user {number}"
