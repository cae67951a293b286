"""How many threads a fitted model asks for."""

from collections.abc import Mapping

from serving.bundle.learners import learner_of


def single_thread(model: object) -> None:
    """Let every part of a fitted model use one thread.

    Starting threads costs more than one row takes.
    """
    pending, seen = [model], set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple):
            pending.extend(part)
        elif isinstance(part, Mapping):
            pending.extend(part.values())
        elif learner := learner_of(part):
            pending.extend(learner.single_thread(part))
