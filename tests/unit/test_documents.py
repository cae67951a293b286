"""What documents name is there: paths, commands, checks of the gate; `make check` asks ours."""

from pathlib import Path

import pytest

from docs import check
from docs.paths import Tree, path_problems
from include.cli.command_line import EXAMPLES


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a small tree with a step, a room of the server and a test."""
    for name in ("include/steps/race.py", "serving/rest/front.py", "tests/unit/test_split.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    (tmp_path / "tests/unit/test_split.py").write_text("def test_a_salt_moves_rows() -> None: ...")
    return Tree(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "`include/steps/race.py`, `include/steps/` and `tests/unit`",
        "`steps/race.py` or `race.py`",
        "`python -m pytest tests/unit/test_split.py -k salt`",
        "`.ratchet/serving/MODEL/1` and `lake/SPEC/rows/`: data have places of their own",
        "`include/specs/pulsar.toml` and `tests/unit/NAME.py` are for the reader to write",
        "include/steps/gone.py outside of code is prose",
        "```sh\ncat include/steps/race.py\n```",
    ],
)
def test_what_is_there_may_be_named(tree: Tree, text: str) -> None:
    """In full, by its last parts, in a command or as a pattern."""
    assert list(path_problems(text, tree)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("`include/steps/gone.py`", "include/steps/gone.py is not there"),
        ("`include/gone/NAME.py`", "include/gone/NAME.py is not there"),
        ("`steps/gone.py`", "steps/gone.py is the end of no path"),
        ("`gone.py`", "gone.py is the end of no path"),
        ("```sh\ncat tests/gone/\n```", "tests/gone/ is not there"),
        (
            "`pytest tests/unit/test_split.py -k sides`",
            "tests/unit/test_split.py has no test with sides in its name",
        ),
    ],
)
def test_what_is_gone_may_not(tree: Tree, text: str, problem: str) -> None:
    """The sentence says which path it is."""
    assert list(path_problems(text, tree)) == [problem]


def test_a_map_names_rooms_by_one_word(tree: Tree) -> None:
    """In other documents a word before a slash is a folder of data."""
    text = "`steps/`, `rest/`, `gone/`"
    assert list(path_problems(text, tree)) == []
    assert list(path_problems(text, tree, ["include", "serving"])) == ["there is no room gone/"]


def commands_page(*names: str) -> str:
    """Return a page that lists these commands."""
    return "## Commands\n\n" + "\n".join(f"| `./ratchet {name} SPEC` | does it |" for name in names)


def test_documents_and_code_know_the_same_commands() -> None:
    """Every command has a row, and nobody is sent to one that there is not."""
    whole = {check.COMMANDS: commands_page(*EXAMPLES)}
    assert list(check.command_problems(whole)) == []
    lacking = {check.COMMANDS: commands_page(*(EXAMPLES.keys() - {"judge"}))}
    (problem,) = check.command_problems(lacking)
    assert problem.endswith("`./ratchet judge` is a command and not listed")
    elsewhere = whole | {check.CONTAINERS: "say `./ratchet jugde SPEC 4`"}
    (problem,) = check.command_problems(elsewhere)
    assert problem.endswith("`./ratchet jugde` is no command")


def test_a_check_of_the_gate_has_a_row() -> None:
    """A page without the table lacks each of them, by its name."""
    missing = list(check.check_problems("## The checks of the gate\n\n| `size_mib` | small |"))
    assert any("beyond_noise" in problem for problem in missing)
    assert not any("size_mib" in problem for problem in missing)


def test_a_page_stands_in_the_index() -> None:
    """Whoever looks for something finds every page from there."""
    texts = {check.COMMANDS: "", check.CONTAINERS: "", check.INDEX: ""}
    listed = "[Commands](commands.md), [in containers](containers.md#what-runs)"
    assert list(check.index_problems("[Commands](commands.md)", texts)) == [
        "docs/README.md: containers.md is not listed"
    ]
    assert list(check.index_problems(f"{listed}, [containers](containers.md)", texts)) == []


def test_a_sentence_about_making_is_no_target() -> None:
    """`make` is looked for where somebody is told to run it."""
    known = {check.COMMANDS: "`make up`"}
    said = check.target_problems(
        known | {check.CONTAINERS: "`make gone`, `it does not make a day`"}
    )
    ours = [problem for problem in said if problem.startswith("docs/containers.md")]
    assert ours == ["docs/containers.md: `make gone` is no target of the Makefile"]
