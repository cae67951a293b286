"""Why a bundle was not opened."""


class BundleRefusedError(Exception):
    """A bundle is missing, altered or not of this format; the message says which and what to do."""

    def __init__(self, message: str, problem: str = "") -> None:
        """`problem` is what a model file holds, for a reader whose file is of no bundle."""
        super().__init__(message)
        self.problem = problem


def require(holds: object, problem: str) -> None:
    """Refuse a model file unless something holds."""
    if not holds:
        raise BundleRefusedError(
            f"the model file is refused: {problem}. No fit of this pipeline writes such a file; "
            "train again, and ask who could write to the registry",
            problem,
        )


def quotable(text: str) -> str:
    """Return what a file says of itself as a sentence may quote it: one line, printable, short."""
    plain = "".join(one if one.isprintable() else "?" for one in text[:120])
    return plain.encode(errors="replace").decode()
