"""Tell a half-made environment from a whole one, with the standard library alone.

`make setup` writes a stamp last, so a missing stamp means that nothing in that environment can be
relied on, rich and psutil included: this check has to work without them.
"""

from pathlib import Path

from stack.errors import StackError

STAMPS = (".venv/main/.ready", ".venv/serving/.ready")


def require_environments(project: Path) -> None:
    """Raise StackError unless `make setup` has finished both environments of this project."""
    missing = [stamp for stamp in STAMPS if not (project / stamp).is_file()]
    if missing:
        folders = " and ".join(str(Path(stamp).parent) for stamp in missing)
        raise StackError(
            f"The environment in {folders} is missing or half-made: "
            f"run `make setup` in {project}, it goes on where it stopped."
        )
