"""What the server answers instead of a prediction: a status and a sentence."""


class RequestRefusedError(Exception):
    """A request that cannot be answered; the message tells the caller what to change."""

    def __init__(self, status: int, sentence: str) -> None:
        """Keep the HTTP status and the sentence that goes out as `{"error": sentence}`."""
        super().__init__(sentence)
        self.status = status
