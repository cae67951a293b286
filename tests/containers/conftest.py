"""A container engine, or a reason why there is none; the images that are tested."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.clean_copy import copy_of_the_project
from tests.containers.composed import Composed, composed
from tests.containers.engine import Docker, problem


@pytest.fixture(scope="session")
def docker() -> Docker:
    """Return an engine; without one tests are skipped, or fail where RATCHET_NEED_ENGINE is 1."""
    reason = problem()
    if reason and os.environ.get("RATCHET_NEED_ENGINE") == "1":
        pytest.fail(f"{reason} (RATCHET_NEED_ENGINE is 1)")
    if reason:
        pytest.skip(reason)
    return Docker()


@pytest.fixture(scope="session")
def clean_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project as a clone has it, with what is not committed yet and nothing ignored."""
    return copy_of_the_project(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def serving_image(docker: Docker, clean_copy: Path) -> Iterator[str]:
    """Return the serving image, built from a clean copy into which somebody left private files."""
    context = clean_copy / "serving"
    for name in (".env", "keys.txt", "traffic/secret.pem"):
        (context / name).write_text("private")
    tag = f"ratchet-serving:test-{secrets.token_hex(4)}"
    docker("build", "--tag", tag, "--build-arg", "REVISION=tested", context)
    yield tag
    docker("rmi", "--no-prune", tag)


@pytest.fixture(scope="module")
def stack(docker: Docker, clean_copy: Path) -> Iterator[Composed]:
    """Return the composed stack, started from nothing."""
    with composed(docker, clean_copy) as stack:
        stack.up()
        yield stack
