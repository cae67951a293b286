"""One process that parses, predicts and serialises, with no HTTP around it: what is possible.

    python -m benchmarks.serving_bare BUNDLE DIGEST BODY_FILE SECONDS

Runs in the server's own environment with the server's own codec and model calls and prints
requests per second.
"""

import sys
import time
from pathlib import Path

from serving.bundle import Bundle
from serving.models.loading import load_and_warm
from serving.models.scoring import score
from serving.protocol import codecs


def answer(bundle: Bundle, body: bytes) -> bytes:
    """Answer one request as the server does, on this thread."""
    request = codecs.decode(body, bundle.manifest)
    return codecs.encode(bundle, "1", request, score(bundle, request.matrix)).body


def per_second(bundle: Bundle, body: bytes, seconds: float) -> float:
    """Return how many requests a second one thread answers."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        answer(bundle, body)
        count += 1
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    _folder, _digest, _file, _seconds = sys.argv[1:]
    _opened = load_and_warm(Path(_folder), _digest, "santander-model")
    print(per_second(_opened, Path(_file).read_bytes(), float(_seconds)))
