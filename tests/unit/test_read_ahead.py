"""An iterator that is made on a thread beside may be left at any time."""

from collections.abc import Iterator
from concurrent.futures import Future
from threading import Event

from include.formats.read_ahead import read_ahead


def test_the_thread_that_makes_the_items_may_be_the_one_that_frees_the_iterator() -> None:
    """As the garbage collector does, which comes by on any thread: it waits not for itself."""
    is_left, closed = Event(), Future[None]()

    def items() -> Iterator[int]:
        yield 1
        is_left.wait(30)
        try:
            iterator.close()  # type: ignore[attr-defined] # it is a generator
        except RuntimeError as error:
            closed.set_exception(error)
        else:
            closed.set_result(None)

    iterator = read_ahead(items())
    assert next(iterator) == 1
    is_left.set()
    closed.result(30)
