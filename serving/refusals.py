"""The error that the server answers with instead of a prediction: a status and a sentence."""


def quoted(text: str) -> str:
    """Return a caller's text in quotes, with characters escaped that cannot be shown."""
    return "'" + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text) + "'"


class RequestRefusedError(Exception):
    """A request that cannot be answered; the message tells the caller what to change."""

    def __init__(self, status: int, sentence: str) -> None:
        """`status` is the HTTP status; `sentence` is sent as `{"error": sentence}`."""
        super().__init__(sentence)
        self.status = status
