"""What the server survives, beside MLServer 1.7.1 with the same model and the same requests.

One malformed request among good ones, a client that hangs up, a gRPC call that is cancelled, a
change of the model, a signal with requests in flight, a port that is taken.
"""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.serving_client import connect
from benchmarks.serving_contenders import (
    MLSERVER,
    RATCHET,
    Contender,
    mlserver,
    peer,
    ratchet_contender,
)
from benchmarks.serving_defects import (
    Outcome,
    Question,
    Target,
    busy,
    cancelled_beside,
    ended_in_flight,
    hung_up_beside,
    malformed_beside,
    target,
)
from benchmarks.serving_model import NAME, Model, model
from benchmarks.serving_process import (
    PROJECT,
    await_version,
    end_family,
    end_like_an_interrupt,
    environment,
    get,
    ratchet,
    server_python,
)
from benchmarks.serving_registry import registry

_SLOW = 12


Second = tuple["subprocess.Popen[bytes]", Path]


@dataclass(frozen=True)
class Case:
    """A running server, and what is done to it besides asking."""

    contender: Contender
    change: Callable[[], None]
    """Puts another version of the model in place and returns when it answers."""
    again: Callable[[], Second]
    """Starts a second one on the same port; returns it and its log."""


def main() -> None:
    """Run every scenario against both servers and print the table and, last, a line of JSON."""
    end_like_an_interrupt()
    console = Console(highlight=False, width=120)
    cases = {RATCHET: _ratchet, f"MLServer 1.7.1{MLSERVER[0].removeprefix('MLServer')}": _mlserver}
    with tempfile.TemporaryDirectory() as folder:
        served = model(Path(folder))
        told = {
            name: _told(start, served, Path(folder) / str(number))
            for number, (name, start) in enumerate(cases.items())
        }
    table = Table("scenario", *told)
    for scenario in next(iter(told.values())):
        table.add_row(scenario, *(one[scenario] for one in told.values()))
    console.print(table)
    print(json.dumps({"benchmark": "defects", "told": told}))


Start = Callable[[Model, Path], AbstractContextManager[Case]]


def _told(start: Start, served: Model, work: Path) -> dict[str, str]:
    """Return what became of each scenario, in words."""
    work.mkdir()
    with start(served, work) as case:
        asked = target(case.contender, served.rows[:500], served.expected[:500])
        busy(asked, 8, 1.0)
        return {
            "one malformed request in the instant of 31 good ones, 8 times": _share(
                malformed_beside, asked
            ),
            "a client that hangs up beside 23 others, 20 times": _share(hung_up_beside, asked),
            "a gRPC call cancelled beside 23 others, 20 times": _share(cancelled_beside, asked),
            "the model replaced": _replaced(case, asked),
            "the port is taken": _second(case),
            "SIGTERM with 12 requests in flight": _ended(case, asked, served),
        }


def _share(scenario: Callable[[Target], Outcome], target: Target) -> str:
    try:
        outcome = scenario(target)
    except OSError as error:
        return f"not to be tried: {error}"
    return f"{outcome.answered} of {outcome.of} answered"


def _replaced(case: Case, target: Target) -> str:
    """Tell what 64 connections and one alone get before and after a change of the model."""
    figures = []
    for is_after in (False, True):
        if is_after:
            case.change()
        figures.append((busy(target, 64, 3.0), _alone_ms(target)))
    (before, alone_before), (after, alone_after) = figures
    return (
        f"{before:,.0f} requests/s before and {after:,.0f} after; a lone request "
        f"{alone_before:.1f} ms before and {alone_after:.1f} after"
    )


def _alone_ms(target: Target) -> float:
    """Return the median time of a request that is alone, in ms."""

    async def run() -> list[float]:
        connection = await connect(target.port)
        replies = [await connection.ask(one.post.raw()) for one in target.questions[:100]]
        connection.cut()
        return [1000 * (reply.came - reply.sent) for reply in replies]

    return statistics.median(asyncio.run(run()))


def _second(case: Case) -> str:
    second, log = case.again()
    try:
        second.wait(15)
        ended = f"exit code {second.returncode}"
    except subprocess.TimeoutExpired:
        ended = "does not end"
    end_family(second)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{ended}, {len(lines)} lines of log"


def _ended(case: Case, target: Target, served: Model) -> str:
    process = case.contender.process
    if process is None:
        raise ValueError(f"{case.contender.name} has no process to signal")
    make, rows = case.contender.posts["json"], served.rows
    slow = Question(make(rows), tuple(map(float, served.expected)))
    ending = ended_in_flight(target, process, [slow] * _SLOW)
    code = "killed" if ending.exit_code is None else f"exit code {ending.exit_code}"
    answered = f"{ending.answered.answered} of {ending.answered.of} answered"
    return f"{answered}, {ending.in_flight} after the signal; {code} in {ending.seconds:.1f} s"


@contextmanager
def _ratchet(served: Model, work: Path) -> Iterator[Case]:
    with registry(NAME) as kept:
        kept.point(kept.publish(served.bundle, served.digest))
        with ratchet(kept.url, work, model=NAME) as server:

            def change() -> None:
                version = kept.publish(served.bundle, served.digest)
                kept.point(version)
                await_version(server, NAME, version)

            second = environment() | {"SERVING_PORT": str(server.port), "PYTHONPATH": str(PROJECT)}
            second |= {"SERVING_HOME": str(work / "second")}
            command = [server_python(), "-m", "serving"]
            yield Case(ratchet_contender(server), change, lambda: _start(command, second, work))


@contextmanager
def _mlserver(served: Model, work: Path) -> Iterator[Case]:
    with mlserver(MLSERVER[0], 1, served, work) as contender:
        root = f"http://127.0.0.1:{contender.port}"

        def change() -> None:
            load = f"{root}/v2/repository/models/{NAME}/load"
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                urllib.request.Request(load, method="POST"),  # noqa: S310 - a loopback address
                timeout=30,
            ).close()
            get(f"{root}/v2/models/{NAME}/ready")

        programs = peer("mlserver")
        path = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        command = [str(programs / "mlserver"), "start", str(work)]
        yield Case(contender, change, lambda: _start(command, environment() | path, work))


def _start(command: list[str], variables: dict[str, str], work: Path) -> Second:
    log = work / "second.log"
    with log.open("wb") as file:
        return subprocess.Popen(  # noqa: S603 - the servers' own programs
            command, env=variables, cwd=work, stdout=file, stderr=file, start_new_session=True
        ), log


if __name__ == "__main__":
    main()
