"""Why a bundle was not opened."""


class BundleRefusedError(Exception):
    """A bundle is missing, altered or not of this format; the message says which and what to do."""


def require(holds: object, problem: str) -> None:
    """Refuse a model file unless something holds."""
    if not holds:
        raise BundleRefusedError(
            f"the model file is refused: {problem}. No fit of this pipeline writes such a file; "
            "train again, and ask who could write to the registry"
        )


def shown(text: str) -> str:
    """Return what a file says of itself as a sentence may quote it: one line, printable, short."""
    plain = "".join(one if one.isprintable() else "?" for one in text[:120])
    return plain.encode(errors="replace").decode()
