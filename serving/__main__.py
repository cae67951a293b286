"""`python -m serving`: bind, follow the registry, answer until told to stop.

Exits 1 with one sentence when it cannot start, and 0 after a SIGTERM or a Ctrl-C once every request
in flight was answered.
"""

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from serving.settings import Settings, read_settings

if TYPE_CHECKING:
    from serving.front import Application

_BACKLOG = 2048
_GRACE_SECONDS = 8
# One prediction at a time on one thread: the libraries' own pools only fight over the cores. They
# read these once, when they are first imported, so this comes before the server's own imports.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LOG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        name: {"handlers": ["err"], "level": "INFO", "propagate": False}
        for name in ("serving", "uvicorn")
    },
}


def main() -> int:
    """Run the server and return the exit code."""
    # uvicorn stops gracefully and then raises the signal again, for the handlers it found.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        settings = read_settings()
        # The port first: a second server by mistake must not touch the first one's folder.
        listener = _listen(settings)
        application = _application(settings)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"The server cannot start: {error}\n")
        return 1
    _serve(application, listener)
    return 0


def _application(settings: Settings) -> "Application":
    from serving.app import make_app
    from serving.following.registry import MlflowRegistry
    from serving.following.shelf import Shelf
    from serving.following.watch import Watch
    from serving.models.holder import Holder

    holder = Holder()
    watch = Watch(MlflowRegistry(settings.registry_url), holder, Shelf(settings.home))
    return make_app(holder, lambda: watch.run(settings.poll_seconds))


def _serve(application: "Application", listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=_LOG,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(
            f"{settings.host} port {settings.port} is not to be had ({error.strerror}). Stop what "
            "listens there, or choose another with SERVING_HOST and SERVING_PORT."
        ) from error
    return listener


def _stopped(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
