"""A history on a file system of its own that is full, or read only, in the middle.

Run by a test inside a mount namespace: `python -m tests.faults.on_a_small_disk HOME SPEC FAULT`.
Prints the state at the end as JSON, with the errors on the way.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec
from tests.faults import history

DISK = "12m"
ROOM_BYTES = (0, 20_000, 100_000, 300_000)
"""How much room is left: enough for some of the steps each time."""


def main() -> None:
    """Bring the history to its end through the fault."""
    home, spec = Path(sys.argv[1]), read_spec(Path(sys.argv[2]))
    _mount("-t", "tmpfs", "-o", f"size={DISK}", "none", home)
    history.lay_out(home, spec)
    errors = FAULTS[sys.argv[3]](home, spec)
    for _ in range(2):
        history.take_in(home, spec, None, again=False)
    sys.stdout.write(json.dumps({"errors": errors, "state": history.state(home, spec)}))


def full_disk(home: Path, spec: Spec) -> list[str]:
    """Take in with less and less room, then make room."""
    errors = []
    for room in sorted(ROOM_BYTES):
        filler = home / "filler"
        _fill(filler, room)
        errors.append(_failure(home, spec))
        filler.unlink()
    return errors


def read_only_lake(home: Path, spec: Spec) -> list[str]:
    """Take in while the lake cannot be written."""
    lake = home / "lake"
    lake.mkdir()
    _mount("--bind", lake, lake)
    _mount("-o", "remount,ro,bind", lake)
    errors = [_failure(home, spec)]
    _mount("-o", "remount,rw,bind", lake)
    return errors


FAULTS: dict[str, Callable[[Path, Spec], list[str]]] = {
    "full": full_disk,
    "read-only": read_only_lake,
}


def _failure(home: Path, spec: Spec) -> str:
    try:
        history.take_in(home, spec, None, again=False)
    except Exception as error:  # noqa: BLE001 - which one it is is what the test looks at
        return f"{type(error).__name__}: {error}"
    return ""


def _fill(filler: Path, room: int) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - room))


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
