"""Trouble that is met at every look is logged once, and once more when it is over."""

import logging

LOG = logging.getLogger("serving")


class Troubles:
    """What is wrong now, by what it is wrong with."""

    def __init__(self) -> None:
        """Nothing is."""
        self._sentences: dict[str, str] = {}

    def met(self, about: str, sentence: str, error: BaseException | None = None) -> None:
        """Log a trouble unless the last one with this was the same; with an error its traceback."""
        if self._sentences.get(about) != sentence:
            self._sentences[about] = sentence
            LOG.warning("%s: %s", about, sentence, exc_info=error)

    def over(self, about: str) -> None:
        """Log that there is none any more, if there was one."""
        sentence = self._sentences.pop(about, None)
        if sentence is not None:
            LOG.info("%s: this is over: %s", about, sentence)


def told(error: BaseException) -> str:
    """Return an error as one line of a bounded length that is the same whenever it comes again."""
    if isinstance(error, OSError) and error.strerror:
        # Its text would name a temporary folder.
        return f"the server's copies cannot be used: {error.strerror}"
    line = " ".join(str(error).split())
    return line[:1000] or type(error).__name__
