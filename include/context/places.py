"""The servers and folders that a command needs, and whether they respond.

Each is sent a small request of the kind that the command is going to send, so that a server that is
up but cannot reach its own database does not count as one that responds.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import urlsplit

from include.context import running_stack
from include.errors import causes
from include.settings import Settings
from include.spec.model_spec import Spec
from include.store import bucket_problem
from include.store.address import bucket_and_prefix, local_folder
from include.store.units import MIB

_LISTED = "api/2.0/mlflow/experiments/search"
_ANSWER_BYTES = MIB
_ASKS_WHO = {401, 403}
"""HTTP status codes of a server that requires a login, which MLflow's own client then provides."""
_SERVER_ERROR = 500
_HTTP_CLIENTS = {"requests", "urllib3", "httpx", "httpcore"}
LAKE_LIBRARIES = frozenset({"deltalake", "_internal", "polars", "obstore"})
"""The packages that read and write the lake; `_internal` is deltalake's."""


class Need(Enum):
    """A kind of server or folder that a command may need."""

    LANDING = "landing"
    LAKE = "lake"
    REGISTRY = "registry"


EVERYTHING = frozenset(Need)


@dataclass(frozen=True)
class Place:
    """One server or folder that a command needs."""

    name: str
    """What it is and where, for a sentence."""
    ask: Callable[[float], str]
    """Called with a time limit in seconds; returns why it does not respond, empty when it does."""
    advice: str
    """What a person can do when it does not respond."""

    def problem(self, seconds: float) -> str:
        """Return why it does not respond within `seconds`, empty when it does."""
        answers: Queue[str] = Queue()
        # In a thread, because a disk that hangs, a name server and a server that sends a byte a
        # second keep to no timeout.
        Thread(target=lambda: answers.put(self._said(seconds)), daemon=True).start()
        try:
            return answers.get(timeout=seconds)
        except Empty:
            return _no_answer(seconds)

    def sentence(self, problem: str) -> str:
        """Return a problem as a sentence for a person: the place, the problem, the advice."""
        return f"{self.name} does not answer: {problem}. {self.advice}"

    def _said(self, seconds: float) -> str:
        try:
            return self.ask(seconds)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from answering is a problem
            late = any(isinstance(one, TimeoutError) for one in causes(error))
            return _no_answer(seconds) if late else system_message(error)


def _no_answer(seconds: float) -> str:
    return f"no answer within {seconds:g} s"


def places(needs: Iterable[Need], spec: Spec, settings: Settings) -> list[Place]:
    """Return the places of a spec for some needs; one that serves two needs is returned once."""
    found = [_place(need, spec, settings) for need in sorted(needs, key=lambda item: item.value)]
    return list({one.name: one for one in found}.values())


def ask_neighbours_directly(host: str) -> None:
    """Exclude a host from any HTTP proxy of the environment, for every client in this process."""
    direct = ",".join(filter(None, ("127.0.0.1,localhost", host, os.environ.get("NO_PROXY"))))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = direct


def system_message(error: BaseException) -> str:
    """Return the operating system's message for an OSError, otherwise the exception's message."""
    words = (one.strerror for one in causes(error) if isinstance(one, OSError) and one.strerror)
    return next(words, str(error) or type(error).__name__)


def said_by_a_library(error: BaseException) -> str:
    """Return the message of an error that a client library raised; empty for any other error."""
    named = {type(one).__module__.partition(".")[0] for one in causes(error)}
    if named & _HTTP_CLIENTS:  # whose words are addresses, options and classes
        return "an answer did not come in time, or broke off"
    return str(error).partition("\n")[0] if named & {*LAKE_LIBRARIES, "mlflow"} else ""


def is_about_a_server(error: BaseException) -> bool:
    """Return whether an error came from a request to MLflow, whichever library raised it."""
    named = {type(one).__module__.partition(".")[0] for one in causes(error)}
    return bool(named & (_HTTP_CLIENTS | {"mlflow"}))


def _place(need: Need, spec: Spec, settings: Settings) -> Place:
    if need is Need.REGISTRY:
        url = settings.registry_url
        name = f"MLflow at {without_password(url)}"
        return Place(name, lambda seconds: _registry_problem(url, seconds), _advice(settings))
    landing = need is Need.LANDING
    url = settings.landing_url(spec.name, spec.landing or None) if landing else settings.lake_url
    if (folder := local_folder(url)) is not None:
        return Place(f"the disk with {url}", lambda _: _folder_problem(folder), _DISK)
    bucket, _ = bucket_and_prefix(url)
    server = settings.s3.get("AWS_ENDPOINT_URL", "AWS")
    ask: Callable[[float], str] = lambda seconds: bucket_problem(url, settings.s3, seconds)  # noqa: E731
    return Place(f"the bucket s3://{bucket} at {server}", ask, _BUCKET)


_DISK = "Look whether it is mounted and whole"
_BUCKET = "Look whether the server of AWS_ENDPOINT_URL runs and takes AWS_ACCESS_KEY_ID"


def _advice(settings: Settings) -> str:
    if settings.registry:
        return "Look whether that server runs, or name another with RATCHET_MLFLOW_URL"
    if running_stack.stack_runs(settings.home):
        return running_stack.where_it_shows(settings.home, "mlflow")
    return (
        f"No stack runs in {settings.home}: run: make up; one that runs elsewhere is named by "
        "RATCHET_HOME"
    )


def _registry_problem(url: str, seconds: float) -> str:
    import httpx

    # No certificate is held to anything: nothing is told here but that somebody asks.
    with (
        httpx.Client(verify=False, timeout=seconds) as client,  # noqa: S501 - the reason above
        client.stream("GET", f"{url}/{_LISTED}", params={"max_results": 1}) as answer,
    ):
        if answer.status_code in _ASKS_WHO:
            return ""
        if answer.status_code >= _SERVER_ERROR:
            return f"its answer is an error, {answer.status_code}"
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > _ANSWER_BYTES:
                break
    return "" if _is_listing(answer.status_code, body) else "another program listens there"


def _is_listing(status: int, body: bytes) -> bool:
    import json

    try:
        return status == 200 and isinstance(json.loads(body), dict)  # noqa: PLR2004 - it is said
    except ValueError:
        return False


def _folder_problem(folder: Path) -> str:
    """Return why a folder cannot be listed, empty when it can or does not exist yet."""
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def without_password(url: str) -> str:
    """Return an address without the account that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
