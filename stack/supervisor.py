"""The process that holds the components: starts them, restarts what dies, stops them all.

It is started with its plan on the first line of its standard input, and that pipe stays open as a
lifeline: `r` says that the start is over (from then on a component that dies is restarted), `d`
detaches it. The pipe closing before that means that the client is gone, however it ended, and
stops everything. So does SIGTERM; a second one does not wait for anybody.
"""

import os
import selectors
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field

import psutil

from include.context.running_stack import Phase, began, since_boot
from stack.components import Component, Health
from stack.own_log import OwnLog, PatientWriter
from stack.plan import Plan, read_plan
from stack.processes import marks, signal_group, start_group, sweep
from stack.rotation import last_lines, rotate
from stack.state import ComponentState, Lifecycle, StackState, logs_of, write_state

READY = b"r"
DETACH = b"d"

# Airflow's triggerer and scheduler wait on after the first request; the second makes them write
# down that they have ended, without which their successors wait for half a minute.
_ASK_AGAIN_SECONDS = 3.0
_LOG_CHECK_SECONDS = 5.0
_LONGEST_BACKOFF_SECONDS = 60.0
_STABLE_SECONDS = 60.0
_KEPT_LINES = 5
_OWN_LOG = OwnLog(1)  # standard output is a file
_say = _OWN_LOG.say


@dataclass
class _Child:
    component: Component
    state: Lifecycle = Lifecycle.WAITING
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    """In seconds since boot."""
    due: float = 0.0
    """When it may be started, on the monotonic clock."""
    backoff: float = 1.0
    restarts: int = 0
    exit_code: int | None = None
    last_lines: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def may_end(self, waited: float) -> bool:
        """Say whether it lives and still has some of its grace left."""
        return self.alive and waited < self.component.grace_seconds


class Supervisor:
    """Holds the components of one plan until it is told to stop."""

    def __init__(self, plan: Plan, lifeline: int) -> None:
        """Take a plan and the descriptor whose end of file means that the client is gone."""
        self._plan = plan
        self._lifeline = lifeline
        self._phase: Phase = Phase.STARTING
        self._signals = 0
        self._abandoned = False
        self._state_file = PatientWriter("what `make status` reads", _OWN_LOG)
        self._rotation = PatientWriter("an older part of a log", _OWN_LOG)
        self._children = {
            one.name: _Child(
                one,
                environment=dict(os.environ) | one.environment | marks(plan.home, one.name),
            )
            for one in plan.components
        }
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Hold the components until a signal or the lifeline ends it, then stop them."""
        self._listen()
        try:
            while not self._signals and not self._abandoned:
                self._start_due()
                self._wait()
                self._notice_deaths()
        finally:
            self._stop()

    def _listen(self) -> None:
        reader, writer = socket.socketpair()
        reader.settimeout(0.0)
        writer.settimeout(0.0)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._wakeup = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ, self._drain)
        self._selector.register(self._lifeline, selectors.EVENT_READ, self._obey)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # its arrival is all that is needed
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._count_signal)

    def _count_signal(self, *_: object) -> None:
        self._signals += 1

    def _drain(self) -> None:
        self._wakeup[0].recv(4096)

    def _obey(self) -> None:
        words = os.read(self._lifeline, 16)
        if READY in words:
            self._phase = Phase.RUNNING
            self._write()
        if DETACH in words:
            self._selector.unregister(self._lifeline)
            _say("detached: running until `make down`")
        elif not words:
            _say("the client is gone: stopping everything")
            self._abandoned = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            waits = child.state in {Lifecycle.WAITING, Lifecycle.RESTARTING}
            if waits and child.due <= now and self._unblocked(child):
                self._start(child)

    def _unblocked(self, child: _Child) -> bool:
        after = child.component.after
        return not after or self._children[after].state is Lifecycle.DONE

    def _start(self, child: _Child) -> None:
        name = child.component.name
        try:
            child.process = start_group(
                child.component.command,
                child.environment,
                logs_of(self._plan.home) / f"{name}.log",
                self._plan.home,
            )
        except OSError as error:
            _say(f"{name} cannot be started: {error.strerror}")
            self._after_death(child, 127)
        else:
            child.state, child.started = Lifecycle.RUNNING, since_boot()
            _say(f"{name} started, pid {child.process.pid}")
        self._write()

    def _wait(self) -> None:
        dues = [one.due for one in self._children.values() if one.state is Lifecycle.RESTARTING]
        soonest = min(dues, default=float("inf")) - time.monotonic()
        for key, _ in self._selector.select(max(0.0, min(soonest, _LOG_CHECK_SECONDS))):
            key.data()
        self._rotation.write(lambda: rotate(logs_of(self._plan.home)))
        if self._state_file.is_due:
            self._write()
        _OWN_LOG.write_waiting()

    def _notice_deaths(self) -> None:
        for child in self._children.values():
            if (
                child.state is Lifecycle.RUNNING
                and child.process
                and child.process.poll() is not None
            ):
                self._bury(child)
                self._after_death(child, child.process.returncode)
                self._write()

    def _bury(self, child: _Child) -> None:
        """Kill what a dead component left: its group, and what has left that group."""
        if child.process:
            signal_group(child.process.pid, signal.SIGKILL)
        sweep(self._plan.home, child.component.name)

    def _after_death(self, child: _Child, code: int) -> None:
        child.process, child.exit_code = None, code
        log = logs_of(self._plan.home) / f"{child.component.name}.log"
        child.last_lines = last_lines(log, _KEPT_LINES)
        if child.component.once and code == 0:
            child.state = Lifecycle.DONE
        elif self._phase is Phase.STARTING:
            child.state = Lifecycle.FAILED
        else:
            self._schedule(child)
        _say(f"{child.component.name} ended with {code}: {child.state}")

    def _schedule(self, child: _Child) -> None:
        if since_boot() - child.started > _STABLE_SECONDS:
            child.backoff = 1.0
        child.due = time.monotonic() + child.backoff
        child.backoff = min(child.backoff * 2, _LONGEST_BACKOFF_SECONDS)
        child.state, child.restarts = Lifecycle.RESTARTING, child.restarts + 1

    def _stop(self) -> None:
        self._phase = Phase.STOPPING
        self._write()
        for wave in sorted({one.component.wave for one in self._children.values()}):
            self._stop_wave([one for one in self._children.values() if one.component.wave == wave])
        left = sweep(self._plan.home)
        _say(f"stopped; {len(left)} processes had to be killed")
        self._phase = Phase.STOPPED
        self._write()

    def _stop_wave(self, wave: list[_Child]) -> None:
        for child in wave:
            if child.process:
                signal_group(child.process.pid, signal.SIGTERM)
        self._wait_for(wave, 0.0, _ASK_AGAIN_SECONDS)
        for child in wave:
            if child.alive and child.process and not child.component.asked_once:
                child.process.terminate()
        self._wait_for(wave, _ASK_AGAIN_SECONDS, float("inf"))
        for child in wave:
            self._bury(child)
            if child.process:
                child.exit_code = child.process.wait()
                _say(f"{child.component.name} stopped with {child.exit_code}")
            child.process, child.state = None, Lifecycle.STOPPED
        self._write()

    def _wait_for(self, wave: list[_Child], waited: float, longest: float) -> None:
        """Wait until every child has ended or used up its grace, of which `waited` is gone."""
        began = time.monotonic() - waited
        while self._patient and any(one.may_end(time.monotonic() - began) for one in wave):
            if time.monotonic() - began > longest:
                return
            time.sleep(0.05)

    @property
    def _patient(self) -> bool:
        return self._signals <= 1

    def _write(self) -> None:
        this = psutil.Process()
        states = tuple(map(_state, self._children.values()))
        urls, settings = self._plan.urls, _settings(self._plan)
        state = StackState(self._phase, this.pid, began(this), urls, states, settings)
        self._state_file.write(lambda: write_state(self._plan.home, state))


def _settings(plan: Plan) -> dict[str, str]:
    """Return what whoever comes to this stack later has to know to find the same places."""
    variables = (pair for one in plan.components for pair in one.environment.items())
    return {name: text for name, text in variables if name.startswith("RATCHET_")}


def _state(child: _Child) -> ComponentState:
    one = child.component
    health = one.health or Health("")
    return ComponentState(
        name=one.name,
        state=child.state,
        pid=child.process.pid if child.process else 0,
        started=child.started,
        restarts=child.restarts,
        exit_code=child.exit_code,
        once=one.once,
        url=health.url,
        part=health.part,
        last_lines=child.last_lines,
    )


if __name__ == "__main__":
    with os.fdopen(os.dup(0), "rb", buffering=0) as pipe:
        _plan = read_plan(pipe.readline())
    Supervisor(_plan, 0).run()
