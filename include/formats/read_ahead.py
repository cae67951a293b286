"""Reads one item ahead: a thread makes the next item while the present one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident
from typing import Final, TypeVar

T = TypeVar("T")
_END: Final = object()


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items in their order; a thread makes the next one meanwhile.

    An exception of the iterator is raised where its item would have come. Where the caller stops
    early, the item in the making is waited for and dropped.
    """
    own: list[int] = []
    beside = ThreadPoolExecutor(1, initializer=lambda: own.append(get_ident()))
    try:
        coming = beside.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = beside.submit(next, items, _END)
            yield item  # type: ignore[misc] # _END is the only other thing that can come
    finally:
        # The garbage collector may come by on the thread itself, which cannot wait for its own end.
        beside.shutdown(wait=get_ident() not in own)
