"""A delivery: a claimed file, known by the digest of its bytes."""

import hashlib
import re
from dataclasses import dataclass
from typing import BinaryIO

from include.store import PIECE

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Delivery:
    """A claimed file and the digest of its bytes."""

    name: str
    """Its file name in the landing place."""
    digest: str
    """SHA-256, in hexadecimal digits."""
    claim: str
    """The folder in `.claimed` that holds it; folder names sort by the files' arrival."""


def sha256(file: BinaryIO) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal digits: the digest of a delivery."""
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()
