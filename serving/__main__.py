"""`python -m serving [FOLDER]`: bind, follow the registry, answer until told to stop.

A folder may hold MLServer's `settings.json` and `model-settings.json`. Exits 1 with one sentence
when it cannot start. After a SIGTERM, a Ctrl-C, a SIGQUIT or when its terminal is closed it is not
ready, then it answers every request in flight, then it exits 0, inside 10 s; a second signal ends
it at once.
"""

import argparse
import logging
import logging.config
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from serving.configuration.settings import Settings, read_settings
from serving.observing.logs import log_config
from serving.process.listening import listen, require_free
from serving.process.workers import CANNOT_START, Workers, stop_with_parent
from serving.traffic.drain import Drain, stop_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOG = logging.getLogger("serving")
# One prediction at a time on one thread: the libraries' own pools only fight over the cores. They
# read these once, when they are first imported, so this comes before the server's own imports.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# A model that is opened in a thread gives way to requests after this, not after Python's 5 ms.
_SWITCH_SECONDS = 0.0005


def main(arguments: Sequence[str]) -> int:
    """Run the server and return the exit code."""
    for number in stop_signals():
        signal.signal(number, _stopped)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        settings = read_settings(folder=_folder(arguments))
        logging.config.dictConfig(log_config(settings))
        if settings.worker is None:
            return _first(settings, arguments)
        threading.Thread(target=stop_with_parent, daemon=True).start()
        return _serve(settings)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"The server cannot start: {getattr(error, 'strerror', None) or error}\n")
        return CANNOT_START


def _first(settings: Settings, arguments: Sequence[str]) -> int:
    """Run the process that a person or a supervisor started: the server, or its workers' parent."""
    require_free(settings.host, settings.grpc_port, "SERVING_GRPC_PORT")
    if settings.workers == 1:
        return _serve(settings)
    require_free(settings.host, settings.port, "SERVING_PORT")
    _note(settings)
    return Workers([sys.executable, "-m", "serving", *arguments], settings.workers).run()


def _serve(settings: Settings) -> int:
    # The port first: a second server by mistake must not touch the first one's folder.
    listener = listen(settings.host, settings.port, is_shared=settings.worker is not None)
    if settings.worker is None:
        _note(settings)
    drain = Drain(settings.drain_seconds)
    application = _application(settings, drain)
    from serving.process.running import run

    run(application, listener, drain, settings)
    return 0


def _application(settings: Settings, drain: Drain) -> "ASGIApp":
    from serving.app import make_app, make_server
    from serving.bundle.learners import import_ahead
    from serving.models.holder import Holder
    from serving.registry.bounded_requests import Bounds
    from serving.registry.local_copies import LocalCopies
    from serving.registry.registry import MlflowRegistry
    from serving.registry.watch import Watch

    import_ahead()
    holder = Holder()
    bounds = Bounds(model_bytes=settings.model_limit_bytes)
    registry = MlflowRegistry(settings.registry_url, settings.registry_authorization, bounds)
    watch = Watch(registry, holder, LocalCopies(settings.home))
    return make_app(make_server(settings, holder, watch, drain))


def _note(settings: Settings) -> None:
    for note in settings.notes:
        LOG.info("%s", note)


def _folder(arguments: Sequence[str]) -> Path | None:
    parser = argparse.ArgumentParser("python -m serving", description="The V2 inference server.")
    parser.add_argument("folder", nargs="?", type=Path, help="holds MLServer's settings.json")
    folder = parser.parse_args(arguments).folder
    return None if folder is None else Path(folder)


def _stopped(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
