"""Who may ask, and how keys are changed while the server runs."""

import base64
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.refusals import RequestRefusedError
from serving.traffic.keys import LARGEST_BYTES, LOOK_SECONDS, Keys
from tests.logs import messages_of

Header = tuple[bytes, bytes]
BEARER: Callable[[str], Header] = lambda key: (b"authorization", f"Bearer {key}".encode())  # noqa: E731


class Clock:
    """A clock that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        """Return its seconds."""
        return self.now


def opens(keys: Keys, key: str) -> bool:
    """Return whether a request with this key is let in."""
    try:
        keys.require([BEARER(key)])
    except RequestRefusedError:
        return False
    return True


def basic(key: str) -> Header:
    """Return what a browser sends when it was told a key as the password."""
    return b"authorization", b"Basic " + base64.b64encode(f"someone:{key}".encode())


@pytest.mark.parametrize(
    "header",
    [
        BEARER("walnut"),
        (b"authorization", b"bearer walnut"),
        BEARER("three"),
        basic("two"),
        (b"x-api-key", b"two"),
    ],
)
def test_any_of_the_keys_opens_in_any_of_the_ways(tmp_path: Path, header: Header) -> None:
    """Keys of the file and the environment count, as bearer, basic password or X-API-Key."""
    keys = Keys("three", _file(tmp_path, "# people\nwalnut\n\n  two  \n"))
    keys.require([(b"host", b"x"), header])
    with pytest.raises(RequestRefusedError):
        keys.require([(b"host", b"x")])


def test_no_more_than_four_keys_of_a_request_are_looked_at() -> None:
    """Each is compared with all keys, and thousands cost their sender a byte each."""
    keys = Keys("walnut", None)
    keys.require([BEARER("wrong")] * 3 + [BEARER("walnut")])
    with pytest.raises(RequestRefusedError, match="none that the server knows"):
        keys.require([BEARER("wrong")] * 4 + [BEARER("walnut")])


@pytest.mark.parametrize(
    "header",
    [
        BEARER("four"),
        BEARER(""),
        BEARER("waln"),
        BEARER("# people"),
        basic("four"),
        (b"authorization", b"Basic !!!"),
        (b"authorization", b"Digest walnut"),
        (b"authorization", b"walnut"),
        (b"x-api-key", b""),
        (b"x-api-key", b"\xff\xfe"),
        (b"cookie", b"walnut"),
    ],
)
def test_anything_else_is_refused_with_401(tmp_path: Path, header: Header) -> None:
    """A wrong key, a part of one, a comment or another scheme is a sentence and no key in it."""
    keys = Keys(None, _file(tmp_path, "# people\nwalnut\ntwo\n"))
    with pytest.raises(RequestRefusedError, match="API key") as caught:
        keys.require([header])
    assert caught.value.status == 401
    assert "walnut" not in str(caught.value)


def test_without_keys_nobody_is_asked() -> None:
    """On loopback the server may stand open."""
    keys = Keys(None, None)
    keys.require([])
    assert not keys.are_asked


def test_a_changed_file_counts_without_a_restart(tmp_path: Path) -> None:
    """A new key opens and an old one does not, soon after the file was replaced."""
    clock = Clock()
    path = _file(tmp_path, "old\n")
    keys = Keys(None, path, clock)
    draft = tmp_path / "draft"
    draft.write_text("new\n")
    draft.replace(path)
    clock.now += LOOK_SECONDS
    keys.require([BEARER("new")])
    with pytest.raises(RequestRefusedError):
        keys.require([BEARER("old")])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"\xff\xfeg\0"),
        lambda path: path.write_bytes(b"g\0o\0o\0d\0\n\0"),
        lambda path: path.write_bytes(b"a key\n" * LARGEST_BYTES),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.unlink() or os.mkfifo(path),  # type: ignore[func-returns-value]
        lambda path: (path.unlink(), path.symlink_to(path)),
    ],
    ids=["UTF-16", "UTF-16 without a mark", "too large", "a folder", "a pipe", "a loop of links"],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    tmp_path: Path, spoil: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The keys that were good stay good and the log says so once, until the file is mended."""
    clock = Clock()
    path = _file(tmp_path, "good\n")
    keys = Keys(None, path, clock)
    spoil(path)
    with caplog.at_level(logging.WARNING, "serving.keys"):
        for _ in range(3):
            clock.now += LOOK_SECONDS
            keys.require([BEARER("good")])
    (said,) = messages_of(caplog, "serving.keys")
    assert said.endswith("stay good")
    path.rmdir() if path.is_dir() else path.unlink()
    path.write_text("mended\n")
    clock.now += LOOK_SECONDS
    keys.require([BEARER("mended")])


@pytest.mark.parametrize("text", [None, b"", b"# nobody\n", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("own", [None, "own"])
def test_a_file_that_is_emptied_or_deleted_revokes_its_keys(
    tmp_path: Path, text: bytes | None, own: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gets in by them, the server is not open to all, and the log says so once."""
    clock = Clock()
    path = _file(tmp_path, "good\n")
    keys = Keys(own, path, clock)
    path.unlink() if text is None else path.write_bytes(text)
    with caplog.at_level(logging.WARNING, "serving.keys"):
        for header in ([BEARER("good")], [], [BEARER("")], [(b"x-api-key", b"")]):
            clock.now += LOOK_SECONDS
            with pytest.raises(RequestRefusedError):
                keys.require(header)
    (said,) = messages_of(caplog, "serving.keys")
    assert "all its keys are revoked" in said
    assert keys.are_asked
    if own:
        keys.require([BEARER(own)])
    path.write_text("good\n")
    clock.now += LOOK_SECONDS
    keys.require([BEARER("good")])


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xef\xbb\xbfwalnut\n", b"walnut\r\n", b"walnut", b"  walnut\t \n", b"\r\nwalnut\r\n"),
        *(b"walnut # hers\n", b"walnut\t#hers # and his\r\n", b"#oak\nwalnut\nwalnut\n #oak"),
    ],
)
def test_what_stands_around_a_key_is_no_part_of_it(tmp_path: Path, line: bytes) -> None:
    """Marks, blanks, line ends and comments are left out, however an editor writes them."""
    path = tmp_path / "keys"
    path.write_bytes(line)
    keys = Keys(None, path)
    keys.require([BEARER("walnut")])
    for other in ("hers", "#hers", "oak", "#oak", "walnut # hers", ""):
        with pytest.raises(RequestRefusedError):
            keys.require([BEARER(other)])


@pytest.mark.parametrize("key", ["a#b", "correct horse battery", "Schl\u00fcssel"])
def test_what_stands_inside_a_key_is_part_of_it(tmp_path: Path, key: str) -> None:
    """A number sign behind a letter, blanks between words, letters beyond ASCII."""
    keys = Keys(None, _file(tmp_path, f"{key}\n"))
    assert opens(keys, key)
    assert not any(opens(keys, part) for part in (key[:-1], key[:1], key.upper()))


def test_what_a_file_holds_counts_and_not_its_times(tmp_path: Path) -> None:
    """Other keys of the same length under the same times are seen, and so is a link that moves."""
    clock = Clock()
    path = _file(tmp_path, "one\n")
    keys = Keys(None, path, clock)
    assert opens(keys, "one")
    times = path.stat()
    path.write_text("two\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    clock.now += LOOK_SECONDS
    assert [opens(keys, key) for key in ("one", "two")] == [False, True]
    # As Kubernetes swaps a secret: the file is a link through a link to a folder.
    draft = tmp_path / "draft"
    draft.write_text("three\n")
    (tmp_path / "link").symlink_to(draft)
    (tmp_path / "link").replace(path)
    clock.now += LOOK_SECONDS
    assert [opens(keys, key) for key in ("two", "three")] == [False, True]


def test_at_the_start_a_bad_file_is_an_error(tmp_path: Path) -> None:
    """A server must not stand open because a file was empty or misspelt."""
    with pytest.raises(ValueError, match="holds no API key"):
        Keys("other", _file(tmp_path, "\n"))
    with pytest.raises(ValueError, match="is not there"):
        Keys("other", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="cannot be read"):
        Keys("other", tmp_path)


def _file(folder: Path, text: str) -> Path:
    path = folder / "keys"
    path.write_text(text)
    return path
