"""Logs a recurring problem once when it begins, and once when it is over."""

import logging

LOG = logging.getLogger("serving")


class Troubles:
    """The present problems, by what each is about."""

    def __init__(self) -> None:
        """Start without problems."""
        self._sentences: dict[str, str] = {}

    def met(self, about: str, sentence: str, error: BaseException | None = None) -> None:
        """Log a problem unless it is the present one; with `error` its traceback is logged too."""
        if self._sentences.get(about) != sentence:
            self._sentences[about] = sentence
            LOG.warning("%s: %s", about, sentence, exc_info=error)

    def over(self, about: str) -> None:
        """Log that the problem is over, if there was one."""
        sentence = self._sentences.pop(about, None)
        if sentence is not None:
            LOG.info("%s: this is over: %s", about, sentence)


def as_one_line(error: BaseException) -> str:
    """Return an error as one line of bounded length, the same each time that it recurs."""
    if isinstance(error, OSError) and error.strerror:
        # Its text would name a temporary folder.
        return f"the server's copies cannot be used: {error.strerror}"
    line = " ".join(str(error).split())
    return line[:1000] or type(error).__name__
