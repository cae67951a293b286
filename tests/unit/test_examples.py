"""Examples of the documents are given to the program that they are for."""

import pytest

from docs.examples import commands, example_problems


def page(language: str, text: str, rest: str = "") -> str:
    """Return a page with one example and a text below it."""
    return f"# A page\n\n```{language}\n{text}\n```\n\n{rest}\n"


SPEC = """title = "Loans"
model = "loans-model"
[data]
target = "returned"
[[families]]
name = "bayes"
pipeline = ["sklearn.naive_bayes.GaussianNB"]"""


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("json", '{"inputs": []}'),
        ("toml", SPEC),
        ("toml", '[data.notation]\nprice = { decimal = "," }'),
        ("python", "import math\nmath.sqrt(2)"),
        ("python", "import polars\npolars.read_csv('not run.csv')"),
        ("sh", "./ratchet drop loans - --name a.csv < a.csv   # 1. drop it"),
        ("sh", "for day in 1 2; do\n  ./ratchet judge loans VERSION --reason R\ndone"),
        ("sh", "curl -s http://host/v2/models/m/infer -d '{\"inputs\": [\n  1]}'"),
        ("console", "$ ./ratchet quarantine loans\nan answer (of any form"),
        ("text", "anything (goes"),
    ],
)
def test_an_example_that_its_program_takes_is_none_of_a_problem(language: str, text: str) -> None:
    """Whole specs and parts of one; what needs a stack or a library is only parsed."""
    assert list(example_problems(page(language, text))) == []


@pytest.mark.parametrize(
    ("language", "text", "problem"),
    [
        ("json", '{"inputs": [}', "is no JSON"),
        ("toml", "a = ", "is no TOML"),
        ("toml", SPEC.replace("GaussianNB", "GaussianBN"), "did you mean"),
        ("toml", '[data.notation]\nprice = { decimal = ";" }', "is no spec"),
        ("python", "import math\nmath.sqrt(-1)", "ends with ValueError"),
        ("python", "import (", "is no Python"),
        ("sh", "echo 'open", "is no command"),
        ("sh", "ls && ./ratchet dorp loans a.csv", "did you mean drop"),
        ("sh", "./ratchet roll-back loans", "--reason"),
        ("sh", "python3 serving/request.py --row=1", "--model"),
        ("sh", "curl -d '{\"inputs\": [}' http://host", "is no JSON"),
        ("console", "$ ./ratchet judge loans first --reason R\nanswer", "no whole number"),
    ],
)
def test_another_is_said_with_the_reason(language: str, text: str, problem: str) -> None:
    """In the words of the program."""
    (said,) = example_problems(page(language, text))
    assert problem in said


def test_a_spec_may_be_broken_on_purpose() -> None:
    """Where the page shows what is said of it."""
    broken = SPEC.replace("GaussianNB", "GaussianBN")
    (said,) = example_problems(page("toml", broken))
    reason = said.partition(": ")[2]
    assert not list(example_problems(page("toml", broken, f"`loans.toml: {reason}`")))


def test_the_words_of_a_command_are_those_of_a_shell() -> None:
    """Quotes are taken off, comments left out, and a line may go on."""
    text = "make up && ls  # look\n./ratchet judge a 1 \\\n  --reason 'so it is' | head"
    said = [["make", "up"], ["ls"], ["./ratchet", "judge", "a", "1", "--reason", "so it is"]]
    assert list(commands(text)) == [*said, ["head"]]


def test_a_command_within_a_line_is_parsed_too() -> None:
    """Where it is given something; one by its name, or as a pattern, is only spoken of."""
    spoken = "`./ratchet doctor`, `./ratchet replay --rows`, `./ratchet judge SPEC [--force] ...`"
    assert not list(example_problems(f"{spoken}: `./ratchet doctor SPEC` says it.\n"))
    (said,) = example_problems("Say `./ratchet judge SPEC VERSION`.\n")
    assert "--reason" in said
