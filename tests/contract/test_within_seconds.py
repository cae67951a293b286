"""`./ratchet` while MLflow, a bucket or a disk is away: one sentence, within seconds."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from include.cli import main as command
from include.cli import registry_commands
from include.cli.deadline import place_must_answer
from include.context.places import EVERYTHING, Place
from include.errors import AwayError
from include.settings import PROJECT
from tests.contract.bank import Said, ratchet
from tests.serving.registries import MlflowServer, free_port

PATIENCE = 1
SECONDS = 15
"""Most that a command may take with so little patience, on a busy machine too."""
assert registry_commands, "imported here, because its seconds are no part of any waiting"
Handler = Callable[[socket.socket, int], None]
"""Called with a connection and the number of those before it."""


@contextmanager
def listening(handle: Handler) -> Iterator[str]:
    """Listen on a port of its own, and let every connection be handled in a thread."""
    over = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.1)

        def accept() -> None:
            held, number = [], 0
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                held.append(connection)
                threading.Thread(target=handle, args=(connection, number), daemon=True).start()
                number += 1
            for connection in held:
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def answer(connection: socket.socket, status: str, body: bytes) -> None:
    """Read a request and answer it."""
    connection.recv(65536)
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)
    connection.close()


def silent(_: socket.socket, __: int) -> None:
    """Take a connection and say nothing."""


def trickling(connection: socket.socket, _: int) -> None:
    """Send a byte now and then, so that no timeout between two bytes ever ends."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 10_000:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)
    except OSError:
        return


def failing(connection: socket.socket, _: int) -> None:
    """Answer as a proxy does whose server is away."""
    answer(connection, "503 Service Unavailable", b"")


def foreign(connection: socket.socket, _: int) -> None:
    """Answer as another program that took the port."""
    answer(connection, "200 OK", b"<html>hello</html>")


def lost(connection: socket.socket, number: int) -> None:
    """Answer once as MLflow does, then never."""
    if number == 0:
        answer(connection, "200 OK", json.dumps({"experiments": []}).encode())


def broken_inside(connection: socket.socket, _: int) -> None:
    """Answer the small question for ever, and everything else never."""
    request = connection.recv(65536)
    if b"experiments/search" in request:
        answer_to = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        connection.sendall(answer_to)
        connection.close()


def asked(home: Path, *words: str, **variables: str) -> tuple[Said, float]:
    """Call `./ratchet` with little patience; return what it said and how long it took."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RATCHET_PATIENCE", str(PATIENCE))
        for name, text in variables.items():
            patch.setenv(name, text)
        began = time.monotonic()
        said = ratchet(home, *words)
        return said, time.monotonic() - began


AWAY: dict[str, tuple[Handler, str]] = {
    "takes connections and says nothing": (silent, "no answer within"),
    "sends a byte now and then": (trickling, "no answer within"),
    "answers 503": (failing, "its answer is an error, 503"),
    "is another program": (foreign, "another program listens there"),
    "is lost after its first answer": (lost, "no answer within"),
    "answers small questions alone": (broken_inside, "not to all that was asked"),
}


@pytest.mark.parametrize("how", AWAY)
def test_without_mlflow_a_command_ends_with_one_sentence(tmp_path: Path, how: str) -> None:
    """However it is away: exit 1, where it was asked, why, and what to do."""
    handle, why = AWAY[how]
    with listening(handle) as url:
        said, took = asked(tmp_path, "promotions", "bank", RATCHET_MLFLOW_URL=url)
    assert (said.code, said.out) == (1, "")
    assert url in said.err
    assert why in said.err
    assert "HTTPConnectionPool" not in said.err
    assert said.err.count("\n") == 1
    assert took < SECONDS


@pytest.mark.parametrize(
    "words",
    [
        ("promotions", "bank"),
        ("roll-back", "bank", "--reason", "r"),
        ("judge", "bank", "1", "--reason", "r"),
        ("adopt", "bank", "model.joblib", "--reason", "r"),
    ],
)
def test_without_a_stack_it_says_make_up(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Nothing listens on the port of the stack's own MLflow: the sentence says how to start it."""
    said, took = asked(tmp_path, *words, RATCHET_MLFLOW_PORT=str(free_port()))
    assert (said.code, said.out) == (1, "")
    assert "Connection refused" in said.err
    assert "run: make up" in said.err
    assert took < SECONDS


def test_no_password_of_an_address_is_shown(tmp_path: Path) -> None:
    """An address may carry an account; the sentence does not."""
    url = f"http://somebody:secret@127.0.0.1:{free_port()}"
    said, _ = asked(tmp_path, "promotions", "bank", RATCHET_MLFLOW_URL=url)
    assert "secret" not in said.err
    assert "127.0.0.1" in said.err


def test_a_company_proxy_is_not_asked_for_this_machine(tmp_path: Path, mlflow_url: str) -> None:
    """`http_proxy` of the shell is for other addresses."""
    port = mlflow_url.rpartition(":")[2]
    nowhere = f"http://127.0.0.1:{free_port()}"
    said, _ = asked(
        tmp_path, "promotions", "bank", RATCHET_MLFLOW_PORT=port, http_proxy=nowhere, NO_PROXY=""
    )
    assert said == (0, "bank never had a champion\n", "")


def test_mlflow_frozen_in_the_middle_of_a_command(tmp_path: Path) -> None:
    """A real server that is stopped while a command waits for it is not waited for long."""
    server = MlflowServer(tmp_path)
    os.killpg(server._process.pid, signal.SIGSTOP)
    try:
        said, took = asked(tmp_path, "promotions", "bank", RATCHET_MLFLOW_URL=server.url)
    finally:
        os.killpg(server._process.pid, signal.SIGCONT)
        server.stop()
    assert said.code == 1
    assert "no answer within" in said.err
    assert took < SECONDS


def bucket_at(url: str) -> dict[str, str]:
    """Return the variables of a lake and a landing place behind this address."""
    return {
        "RATCHET_LAKE": "s3://ours/lake",
        "RATCHET_LANDING": "s3://ours/landing",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }


AT_THE_BUCKET = [
    ("quarantine", "bank"),
    ("contract", "bank"),
    ("replay", "bank", "ab"),
    ("drop", "bank", "b.csv"),
]


@pytest.mark.parametrize("words", AT_THE_BUCKET)
def test_without_the_bucket_a_command_ends_with_one_sentence(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Nothing listens, or something that says nothing: seconds, and the bucket is named."""
    refused = f"http://127.0.0.1:{free_port()}"
    with listening(silent) as hanging:
        for url in (refused, hanging):
            said, took = asked(tmp_path, *words, **bucket_at(url))
            assert (said.code, said.out) == (1, "")
            assert f"the bucket s3://ours at {url} does not answer" in said.err
            assert said.err.count("\n") == 1
            assert took < SECONDS


def test_a_disk_that_hangs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a network disk does whose server is away: the question itself never returns."""
    released = threading.Event()
    monkeypatch.setattr("include.context.places.os.scandir", lambda _: released.wait(30))
    said, took = asked(tmp_path, "quarantine", "bank")
    released.set()
    assert said.code == 1
    assert f"the disk with {tmp_path}/lake does not answer: no answer within 1 s" in said.err
    assert took < SECONDS


def test_a_place_that_answers_again_soon_is_waited_for() -> None:
    """Lost for a moment is not lost."""
    answers = iter(["", "away", ""])
    place = Place("the place", lambda _: next(answers, ""), "Wait")
    with place_must_answer([place], 2, may_take_long=True):
        time.sleep(3.5)
    assert next(answers, "all were asked for") == "all were asked for"


def test_what_fails_because_its_place_is_gone_is_told_as_that() -> None:
    """A library's own words about a connection are not for a person; ours about data are."""
    answers = iter([""])
    place = Place("the place", lambda _: next(answers, "gone"), "Go and look.")
    with (
        pytest.raises(AwayError, match=r"the place does not answer: gone. Go and look."),
        place_must_answer([place], 5, may_take_long=True),
    ):
        raise RuntimeError("HTTPConnectionPool(host=...)")


def test_what_takes_too_long_has_an_end() -> None:
    """Places that answer and a command that is not done: it says so, and how to wait longer."""
    place = Place("the place", lambda _: "", "Go and look.")
    with (
        pytest.raises(AwayError, match=r"not done within 1.2 s.*the place.*RATCHET_PATIENCE"),
        place_must_answer([place], 0.2, may_take_long=False),
    ):
        time.sleep(30)


def test_who_does_not_hear_is_ended(tmp_path: Path) -> None:
    """A call into a library that lets no signal through ends with the sentence all the same."""
    script = tmp_path / "deaf.py"
    script.write_text(
        textwrap.dedent("""
        import signal, time
        from include.context.places import Place
        from include.cli.deadline import place_must_answer
        answers = iter([""])
        place = Place("the place", lambda _: next(answers, "gone"), "Go and look.")
        with place_must_answer([place], 1, may_take_long=True):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            time.sleep(60)
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the place does not answer: gone. Go and look.\n"
    assert time.monotonic() - began < 30


def test_a_command_that_says_nothing_of_itself_is_held_to_everything() -> None:
    """Whoever adds a command cannot forget it: it needs every place, and has an end."""
    parser = command.command_parser()
    assert parser.get_default("needs") == EVERYTHING
    assert parser.get_default("may_take_long") is False
