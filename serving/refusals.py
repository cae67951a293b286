"""What the server answers instead of a prediction: a status and a sentence."""


def quoted(text: str) -> str:
    """Return what a caller sent in quotes, with what cannot be shown escaped."""
    return "'" + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text) + "'"


class RequestRefusedError(Exception):
    """A request that cannot be answered; the message tells the caller what to change."""

    def __init__(self, status: int, sentence: str) -> None:
        """Keep the HTTP status and the sentence that goes out as `{"error": sentence}`."""
        super().__init__(sentence)
        self.status = status
