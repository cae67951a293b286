"""What the texts of settings mean: each reader returns a value or says what it must be.

A reader raises ValueError with the end of a sentence that begins "it must be".
"""

import ipaddress
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from serving.values.units import KIB, MIB

LONGEST_DRAIN_SECONDS = 3.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Value = TypeVar("_Value")


def read_value(place: str, text: str, read: Callable[[str], _Value]) -> _Value:
    """Return what a text means; ValueError with the place and what the reader asks for."""
    try:
        return read(text.strip())
    except ValueError as error:
        raise ValueError(f"{place} is '{text}': it must be {error}") from None


def port(text: str) -> int:
    """Return a port number."""
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise ValueError("a port number, 0 to 65535")
    return int(text)


def whole_number(text: str) -> int:
    """Return a whole number from 0."""
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(2**31))):
        raise ValueError("a whole number")
    return int(text)


def positive_number(text: str) -> int:
    """Return a whole number from 1."""
    number = whole_number(text)
    if number == 0:
        raise ValueError("a whole number above 0")
    return number


def batch_size(text: str) -> int:
    """Return the most requests in a batch; MLServer writes 0 where none are put together."""
    return max(1, whole_number(text))


def seconds_from_zero(text: str) -> float:
    """Return seconds from 0."""
    return _number(text, 0.0, math.inf, "a number of seconds")


def above_zero(text: str) -> float:
    """Return a finite number above 0."""
    number = _number(text, 0.0, math.inf, "a number above 0")
    if number == 0:
        raise ValueError("a number above 0")
    return number


def drain(text: str) -> float:
    """Return seconds that leave time to answer what is in flight."""
    words = f"seconds, 0 to {LONGEST_DRAIN_SECONDS:.0f}"
    return _number(text, 0.0, LONGEST_DRAIN_SECONDS, words)


def share(text: str) -> float:
    """Return a share, 0 to 1."""
    return _number(text, 0.0, 1.0, "a share, 0 to 1")


def sample(text: str) -> float:
    """Return a share above 0."""
    found = share(text)
    if found == 0:
        raise ValueError("a share above 0; to keep nothing, leave SERVING_REQUEST_LOG out")
    return found


def mebibytes(text: str) -> int:
    """Return bytes of a number of MiB."""
    return int(above_zero(text) * MIB)


def kibibytes(text: str) -> int:
    """Return bytes of a number of KiB."""
    return int(above_zero(text) * KIB)


def networks(text: str) -> tuple[Network, ...]:
    """Return addresses and networks that are separated by commas."""
    try:
        parts = [part.strip() for part in text.split(",")]
        return tuple(ipaddress.ip_network(part) for part in parts if part)
    except ValueError:
        raise ValueError("addresses or networks, such as 10.0.0.4, 10.1.0.0/16") from None


def path(text: str) -> Path:
    """Return an absolute path."""
    return Path(text).absolute()


def flag(text: str) -> bool:
    """Return whether a thing is wanted."""
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError("true or false")
    return text.lower() in {"true", "1"}


def log_format(text: str) -> str:
    """Return the kind of log."""
    if text not in {"text", "json"}:
        raise ValueError("text or json")
    return text


def endpoint(text: str) -> str | None:
    """Return a path of the HTTP port, or None for "off"."""
    if text == "off":
        return None
    if not text.startswith("/") or len(text) == 1:
        raise ValueError("a path such as /metrics, or off")
    return text


def _number(text: str, lowest: float, highest: float, words: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not lowest <= number <= highest or math.isinf(number):
        raise ValueError(words)
    return number
