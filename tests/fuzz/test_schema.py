"""Schemathesis on the document that the server gives of itself."""

import subprocess
import sys
from pathlib import Path

from benchmarks.serving_process import KEY, environment
from tests.serving.served import linear, served
from tests.suite_profile import PROFILE

# A schema cannot say that data have as many values as a shape multiplies to, and a null where a
# field may be left out is taken as left out: so not every valid document is a request, nor the
# reverse.
BEYOND_SCHEMAS = "positive_data_acceptance,negative_data_rejection"


def test_the_server_keeps_what_its_document_says(tmp_path: Path) -> None:
    """For every path: no 5xx, and only the statuses, types and forms that are documented."""
    with served(tmp_path, linear(1)) as one:
        program = Path(sys.executable).with_name("schemathesis")
        command = [str(program), "--no-color", "run"]
        command += [f"{one.server.url}/openapi.json", "-H", f"Authorization: Bearer {KEY}"]
        command += ["--max-examples", str(PROFILE.schema_examples), "--seed", "1"]
        command += ["--exclude-checks", BEYOND_SCHEMAS]
        direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        done = subprocess.run(
            command,
            env=environment() | direct,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
