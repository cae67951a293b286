"""Who may ask, and how keys are changed while the server runs."""

import base64
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.guard.keys import LOOK_SECONDS, Keys
from serving.refusals import RequestRefusedError

Header = tuple[bytes, bytes]
BEARER: Callable[[str], Header] = lambda key: (b"authorization", f"Bearer {key}".encode())  # noqa: E731


class Clock:
    """A clock that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        """Return its seconds."""
        return self.now


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


@pytest.mark.parametrize("text", [None, "", "# nobody\n", b"\xff"])
def test_a_file_gone_bad_changes_nothing(
    tmp_path: Path, text: str | bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys that were good stay good and the log says so once, until the file is mended."""
    clock = Clock()
    path = _file(tmp_path, "good\n")
    keys = Keys(None, path, clock)
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with caplog.at_level(logging.WARNING, "serving.keys"):
        for _ in range(3):
            clock.now += LOOK_SECONDS
            keys.require([BEARER("good")])
    assert [record.getMessage().endswith("stay good") for record in caplog.records] == [True]
    path.write_text("mended\n")
    clock.now += LOOK_SECONDS
    keys.require([BEARER("mended")])


def test_at_the_start_a_bad_file_is_an_error(tmp_path: Path) -> None:
    """A server must not stand open because a file was empty or misspelt."""
    with pytest.raises(ValueError, match="holds no API key"):
        Keys("other", _file(tmp_path, "\n"))
    with pytest.raises(ValueError, match="cannot be read"):
        Keys("other", tmp_path / "nowhere")


def _file(folder: Path, text: str) -> Path:
    path = folder / "keys"
    path.write_text(text)
    return path
