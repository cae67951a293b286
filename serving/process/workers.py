"""Several server processes behind one address (SERVING_WORKERS).

Each worker is the whole single-process server, with its own look at the registry. They bind the
same port with SO_REUSEPORT, so that the kernel spreads connections evenly over those that live: on
one inherited socket, whoever wakes first would take most of them, and a dead worker's share would
wait for it. The parent only starts them, starts them again, and passes signals on; when it dies,
however it dies, the workers see their standard input end and stop.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from serving.traffic.drain import is_impatient, stop_signals

LOG = logging.getLogger("serving.process.workers")
WORKER_VARIABLE = "SERVING_WORKER"
CANNOT_START = 1
"""Exit code of a worker that cannot start and has printed the reason."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 60.0
# Container engines kill what has not ended after ten seconds.
_PATIENCE_SECONDS = 9.8


@dataclass
class _Worker:
    number: int
    process: "subprocess.Popen[bytes] | None" = None
    due: float = 0.0
    started: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    has_failed_to_start: bool = False

    @property
    def lives(self) -> bool:
        return self.process is not None


class Workers:
    """Keeps `count` processes of a command running until a signal ends them."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`command` is started `count` times by `run`, each with its number in SERVING_WORKER."""
        self._command = list(command)
        self._workers = [_Worker(number) for number in range(count)]
        self._clock = clock
        # Its `put` is safe inside a signal handler.
        self._news: SimpleQueue[int] = SimpleQueue()
        self._signals = 0

    def run(self) -> int:
        """Run the workers until a signal; return 0 when all then ended well, else 1.

        When none can start it returns 1 without a signal.
        """
        for number in (*stop_signals(), signal.SIGCHLD):
            signal.signal(number, lambda number, _frame: self._news.put(number))
        while not self._signals and not self._is_hopeless():
            self._start_due()
            self._wait(self._next_due())
            self._bury()
        if not self._signals:
            return CANNOT_START
        return self._stop()

    def _start_due(self) -> None:
        for worker in self._workers:
            if not worker.lives and worker.due <= self._clock():
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        worker.started = self._clock()
        worker.process = subprocess.Popen(  # noqa: S603 - this program itself
            self._command,
            env=os.environ | {WORKER_VARIABLE: str(worker.number)},
            stdin=subprocess.PIPE,
            # A Ctrl-C reaches the parent alone: its SIGTERM must be the first that a worker sees.
            process_group=0,
        )
        LOG.info("worker %d started, pid %d", worker.number, worker.process.pid)

    def _wait(self, seconds: float) -> None:
        try:
            number = self._news.get(timeout=seconds)
            while True:
                self._signals += self._counts(number)
                number = self._news.get_nowait()
        except Empty:
            return

    def _counts(self, number: int) -> bool:
        return number != signal.SIGCHLD and (not self._signals or is_impatient(number))

    def _next_due(self) -> float:
        dues = [one.due - self._clock() for one in self._workers if not one.lives]
        return max(0.0, min(dues, default=STABLE_SECONDS))

    def _bury(self) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.poll() is not None:
                self._after_death(worker, worker.process)

    def _after_death(self, worker: _Worker, process: "subprocess.Popen[bytes]") -> None:
        code = _released(process)
        worker.process = None
        now = self._clock()
        # Who ran for a while died of something new: the pauses begin anew.
        if now - worker.started > STABLE_SECONDS:
            worker.pause = FIRST_PAUSE_SECONDS
        worker.has_failed_to_start = code == CANNOT_START
        worker.due = now + worker.pause
        LOG.warning(
            "worker %d ended with %d, starting it again in %.1f s",
            worker.number,
            code,
            worker.pause,
        )
        worker.pause = min(worker.pause * 2, LONGEST_PAUSE_SECONDS)

    def _is_hopeless(self) -> bool:
        return all(not one.lives and one.has_failed_to_start for one in self._workers)

    def _stop(self) -> int:
        """Let every worker finish its requests; a second signal kills them."""
        processes = [one.process for one in self._workers if one.process is not None]
        for process in processes:
            process.terminate()
        deadline = self._clock() + _PATIENCE_SECONDS
        while any(process.poll() is None for process in processes):
            self._wait(max(0.0, deadline - self._clock()))
            if self._signals > 1 or self._clock() >= deadline:
                for process in processes:
                    process.kill()
                break
        codes = [_released(process) for process in processes]
        return int(any(codes))


def stop_with_parent() -> None:
    """Wait until the parent process has ended, then send this worker SIGTERM; run in a thread."""
    # Nobody writes to it: it only ends.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _released(process: "subprocess.Popen[bytes]") -> int:
    if process.stdin is not None:
        process.stdin.close()
    return process.wait()
