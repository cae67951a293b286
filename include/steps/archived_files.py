"""Copies archived files back to the landing place, so that they are ingested again.

When killed: a file is in the landing place whole, or not at all; copying it again is harmless.
"""

from include.adapters.landing import sha256
from include.context.intake_context import IntakeContext

_SHOWN = 12
# A disk takes names of 255 bytes; the end of a name tells the format.
_NAME_END = 50


class ArchivedFiles:
    """The archived files of batches; each is read once and compared with its digest."""

    def __init__(self, context: IntakeContext) -> None:
        """Use the landing place of a context; files are read when they are first asked about."""
        self._context = context
        self._names: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    def problem(self, digest: str) -> str:
        """Return why the file of a batch cannot be ingested again, empty when it can."""
        if digest not in self._problems:
            self._problems[digest] = self._checked(digest)
        return self._problems[digest]

    def name(self, digest: str) -> str:
        """Return the name for the landing place: the file's own, with a prefix if that is taken."""
        name = self._names[digest]
        alone = list(self._names.values()).count(name) == 1
        return name if alone else f"{digest[:_SHOWN]}-{name[-_NAME_END:]}"

    def size(self, digest: str) -> int:
        """Return the size of a batch's archived file in bytes, 0 when there is none."""
        self.problem(digest)
        return self._sizes.get(digest, 0)

    def land(self, digest: str) -> None:
        """Copy the archived file of a batch to the landing place."""
        with self._context.landing.open_archived(digest) as (_, file):
            self._context.landing.drop(self.name(digest), file)

    def _checked(self, digest: str) -> str:
        try:
            with self._context.landing.open_archived(digest) as (name, file):
                self._names[digest] = name
                actual = sha256(file)
                self._sizes[digest] = file.tell()
        except FileNotFoundError:
            return f"batch {digest} has no file in the archive: drop the file that was delivered"
        if actual == digest:
            return ""
        return (
            f"the archived file of batch {digest} is not what was delivered, its digest is {actual}"
            ": drop the file that was delivered"
        )
