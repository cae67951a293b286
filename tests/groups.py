"""Which tests share a worker, in which order groups begin, and which are quick.

A group runs on one worker, in order. A file is a group of its own, so that what it starts once is
started once; the files of `MACHINE` are one, because they keep both cores busy or measure time and
would disturb one another. The largest groups begin first, so that no worker ends long after the
others.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

MACHINE = (
    "tests/integration/test_demo.py",
    "tests/integration/",
    "tests/load/",
    "tests/contract/test_within_seconds.py",
    "tests/contract/test_ctrl_c.py",
    "tests/dags/test_dag_folder.py",
    "tests/faults/test_bombs.py",
    "tests/fuzz/test_any_body.py",
    "tests/unit/test_latency.py",
)
"""What needs more than its half of the machine, or holds a time to a bound, in this order: the
demo has a stack of its own, so it comes before the one that the other integration tests share."""

LARGE = (
    "tests/contract/test_deeds.py",
    "tests/contract/test_first_on_the_server.py",
    "tests/faults/",
    "tests/contract/",
    "tests/clients/",
    "tests/fuzz/",
    "tests/serving/",
)
"""What comes next, the largest first; the rest follows in pytest's own order."""

QUICK = ("tests/unit/", "tests/spec/", "tests/generative/", "tests/serving/")
"""What a quick run looks at."""
PROCESSES = frozenset(
    {"tests.serving.processes", "tests.serving.served", "tests.serving.accounts", "subprocess"}
)
"""Modules that start servers: a file of the server's tests that imports from one is not quick."""
SERVERS = frozenset({"mlflow_url", "publisher", "s3_server"})
"""Fixtures behind which a server starts."""


def group_of(test: str) -> str:
    """Return the group of a test, given as pytest names it: FILE::NAME."""
    return "machine" if test.startswith(MACHINE) else test.partition("::")[0]


def largest_first(items: list[pytest.Item]) -> None:
    """Put tests into the order in which their groups begin."""
    items.sort(key=lambda item: _rank(item.nodeid))


def is_quick(item: pytest.Function) -> bool:
    """Whether `make test-fast` runs a test: plain functions, and the server without a process.

    What takes seconds whatever it costs to write it otherwise has the mark `long`.
    """
    if not item.nodeid.startswith(QUICK) or SERVERS.intersection(item.fixturenames):
        return False
    if item.get_closest_marker("long"):
        return False
    names = vars(item.module).values() if item.nodeid.startswith("tests/serving/") else ()
    origins = {getattr(each, "__module__", getattr(each, "__name__", "")) for each in names}
    return PROCESSES.isdisjoint(origins)


def _rank(test: str) -> int:
    starts = (*MACHINE, *LARGE)
    return next((n for n, start in enumerate(starts) if test.startswith(start)), len(starts))


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Deal whole groups out to workers, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        """Keep the order: xdist would begin with the groups that have the most tests."""
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
