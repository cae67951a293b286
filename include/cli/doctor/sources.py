"""Reads a source on a thread of its own, so that none keeps the others from being checked."""

from collections.abc import Callable
from queue import Empty, Queue
from threading import Thread
from typing import Generic, TypeVar

from include.cli.deadline import LOOKS
from include.cli.doctor.findings import Finding
from include.context.places import Need, places, system_message
from include.context.step_context import StepContext
from include.errors import RatchetError

R = TypeVar("R")


class Source(Generic[R]):
    """One source that is read on a thread of its own."""

    def __init__(
        self, context: StepContext, name: str, need: Need | None, ask: Callable[[], R]
    ) -> None:
        """Begin to read: `ask` is called unless the place that it needs cannot be reached."""
        self._context, self._name, self._need, self._ask = context, name, need, ask
        self._answers: Queue[R | Finding] = Queue()
        Thread(target=lambda: self._answers.put(self._answer()), daemon=True).start()

    def answer(self) -> R | Finding:
        """Return the reading, or a finding when the source could not be read."""
        seconds = LOOKS * self._context.settings.patience
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return Finding(f"not looked at to the end: the {self._name} took over {seconds:g} s")

    def _answer(self) -> R | Finding:
        settings, needs = self._context.settings, [self._need] if self._need else []
        for place in places(needs, self._context.spec, settings):
            problem = place.problem(settings.patience)
            if problem:
                return Finding(f"not asked, the {self._name}: {place.sentence(problem)}")
        try:
            return self._ask()
        except RatchetError as error:
            return Finding(str(error))
        except Exception as error:  # noqa: BLE001 - whatever keeps a source from being read
            return Finding(f"not looked at to the end, the {self._name}: {system_message(error)}")
