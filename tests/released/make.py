"""Makes `0.1.0.tar.xz`: what release 0.1.0 leaves on disk after some deliveries.

    python -m tests.released.make REVISION

It unpacks that revision of this repository, runs its pipeline and its server beside MLflow in this
environment, and packs the home folder: tables, archive, quarantine, registry with its artifacts,
the server's local copies, the request log, the specs, and `answers.json`, which holds what was
asked and answered. Run it only to make the archive anew; tests read the archive.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.revisions import checked_out
from tests.serving.registries import MlflowServer, environment, free_port, wait_for

WORKER = Path(__file__).with_name("worker.py")
ARCHIVE = Path(__file__).with_name("0.1.0.tar.xz")
NOT_READ = frozenset({"scratch", "logs", "mlflow.log", "pictures", "decision.html"})
"""Files and folders, by name, that hold nothing a later version reads."""
START_SECONDS = 600
STOP_SECONDS = 30


def main(revision: str) -> None:
    """Make the archive."""
    with tempfile.TemporaryDirectory() as name:
        tree, home = Path(name) / "tree", Path(name) / "home"
        checked_out(revision, tree)
        # MLflow notes which script it is called from: one of the older tree, for all it knows.
        worker = shutil.copy(WORKER, tree)
        (home / "mlflow").mkdir(parents=True)
        mlflow = MlflowServer(home / "mlflow")
        variables = environment() | {"PYTHONPATH": str(tree), "RATCHET_CODE_VERSION": "0.1.0"}
        with _serving(tree, home, mlflow.url, variables) as port:
            ports = [mlflow.url.rpartition(":")[2], str(port)]
            subprocess.run(
                [sys.executable, "-P", worker, home, *ports], env=variables, cwd=tree, check=True
            )
        mlflow.stop()
        _pack(home)


@contextmanager
def _serving(
    tree: Path, home: Path, registry_url: str, variables: Mapping[str, str]
) -> Iterator[int]:
    """Run the older server and return its port; it is stopped gently, so that its log is whole."""
    port = free_port()
    own = {
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": "0",
        "SERVING_REGISTRY_URL": registry_url,
        "SERVING_HOME": str(home / "serving"),
        "SERVING_POLL_SECONDS": "0.2",
        "SERVING_REQUEST_LOG": str(home / "requests"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "serving"], env={**variables, **own}, cwd=tree
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/health/live", START_SECONDS)
        yield port
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _pack(home: Path) -> None:
    """Pack the home folder without times and owners: the same content is the same archive."""

    def bare(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if NOT_READ.intersection(Path(member.name).parts):
            return None
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(home.iterdir()):
            archive.add(path, path.name, filter=bare)


if __name__ == "__main__":
    main(sys.argv[1])
