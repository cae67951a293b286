"""A profile of the tests is what its variable says, or a mistake that is named."""

from types import SimpleNamespace

import pytest

from tests.groups import MACHINE, group_of, largest_first
from tests.suite_profile import PROFILES, VARIABLE, read_profile


def test_without_a_variable_the_profile_is_that_of_ci() -> None:
    """An empty one counts as none."""
    assert read_profile({}) == read_profile({VARIABLE: ""}) == PROFILES["ci"]


def test_a_figure_of_a_profile_can_be_changed() -> None:
    """The others stay as the profile has them."""
    profile = read_profile({VARIABLE: "nightly,kills=500,moves=3"})
    assert (profile.kills, profile.moves) == (500, 3)
    assert profile.bodies == PROFILES["nightly"].bodies


@pytest.mark.parametrize("text", ["weekly", "ci,deaths=3", "ci,kills=many", "ci,kills"])
def test_what_is_not_known_is_refused(text: str) -> None:
    """A misspelt profile or figure would otherwise test less than was wished."""
    with pytest.raises(ValueError, match=VARIABLE):
        read_profile({VARIABLE: text})


def test_a_file_is_a_group_and_what_needs_the_machine_is_one() -> None:
    """Two files of the second kind share a worker, so they never run side by side."""
    assert group_of("tests/unit/test_split.py::test_salt[a::b]") == "tests/unit/test_split.py"
    groups = {group_of(f"{start}::test") for start in MACHINE}
    assert groups == {"machine"}


def test_the_demo_is_over_before_the_stack_starts_that_other_tests_share() -> None:
    """Both in the group that begins first, so that two stacks never run side by side."""
    loop, demo, unit = (
        SimpleNamespace(nodeid=f"tests/{file}::test")
        for file in (
            "integration/test_broken_while_it_waits.py",
            "integration/test_demo.py",
            "unit/test_split.py",
        )
    )
    items = [unit, loop, demo]
    largest_first(items)  # type: ignore[arg-type] # a name is all that it asks for
    assert items == [demo, loop, unit]
