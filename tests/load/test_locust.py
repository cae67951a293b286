"""A user's locustfile, headless, while the champion moves to and fro."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.serving_model import NAME
from benchmarks.serving_process import KEY, environment
from tests.load.terms import Mover, is_rightful
from tests.serving.served import linear, served

HERE = Path(__file__).parent
SECONDS = 30


def test_nobody_notices_that_the_champion_changes(tmp_path: Path) -> None:
    """For 30 s: no failed request, bad ones refused in a sentence, answers of the champion only."""
    record = tmp_path / "answers"
    variables = {"SERVING_API_KEY": KEY, "LOAD_MODEL": NAME, "LOAD_RECORD": str(record)}
    with served(tmp_path, linear(1), linear(2)) as one:
        mover = Mover(one)
        command = [sys.executable, "-m", "locust", "-f", f"{HERE}/locustfile.py,{HERE}/record.py"]
        command += ["--headless", "--only-summary", "-u", "16", "-r", "16", "-t", f"{SECONDS}s"]
        with mover.moving(pause_seconds=1.0):
            done = subprocess.run(
                [*command, "--host", one.server.url],
                env=environment() | variables,
                cwd=tmp_path,
                check=False,
                capture_output=True,
                text=True,
            )
    # Locust's exit code is 1 when a request failed; the table that it prints says which.
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    answers = [json.loads(line) for line in record.read_text().splitlines()]
    assert mover.moves > SECONDS / 3
    assert {version for _, _, version in answers} == {"1", "2"}
    strays = [
        (asked, came, version)
        for asked, came, version in answers
        if not is_rightful(mover.terms, version, asked, came)
    ]
    assert strays == []
