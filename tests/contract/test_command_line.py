"""How `./ratchet` is used: examples, completion, and what was probably meant."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.cli import main as command
from include.cli.command_line import EXAMPLES, commands_of, parse_arguments
from include.settings import PROJECT
from tests.contract.bank import SPEC, bank_at, deliver, ratchet

COMMANDS = commands_of(command.command_parser())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_that_can_be_parsed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its help ends with them, so that nobody has to put a first line together."""
    parser = command.command_parser()
    with pytest.raises(SystemExit) as left:
        parser.parse_args([name, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert EXAMPLES.get(name), f"{name} has no example in include/cli/command_line.py"
    for line in EXAMPLES[name]:
        assert f"  ./ratchet {name} {line}\n" in shown
        words = shlex.split(line.partition(" <")[0].partition(" >")[0])
        assert parse_arguments(parser, [name, *words])


def refused(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Call `./ratchet` with words that cannot be parsed and return what it says of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RATCHET_SPECS", str(home / "specs"))
        patch.setattr("sys.argv", ["ratchet", *words])
        (home / "specs").mkdir(exist_ok=True)
        (home / "specs" / "bank.toml").write_text(SPEC)
        with pytest.raises(SystemExit) as left:
            command.main()
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


MISUSED = {
    ("promotion",): "there is no command promotion; did you mean promotions",
    ("zzz",): "there is no command zzz; the commands are: drop, ",
    (): "show this help",
    ("promotions",): "the specs are: bank\n",
    ("judge", "bank", "--reason", "r"): "required: version\n",
    ("judge", "bank", "x", "--reason", "r"): "x is no whole number\n",
    ("judge", "bank", "1", "--reason", "r", "--forse"): "did you mean --force?",
    ("adopt", "bank", "m", "--reason", "r", "--threshold", "nan"): "no number from 0 to 1",
    ("roll-back", "bank", "--reason", " "): "it is empty: say why in a few words\n",
    ("judge", "bank", "1", "--reason", ""): "it is empty: say why in a few words\n",
    ("contract", "bank", "--change", ""): "it is empty: say why in a few words\n",
    ("roll-back", "bank", "--reason", "r", "--steps", "0"): "0 promotions back is where it is\n",
    ("promotions", "bank", "bank"): "bank is more than it takes",
    ("completion", "fish"): "bash",
}


@pytest.mark.parametrize("words", MISUSED)
def test_who_mistypes_learns_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """The nearest command or option, or all of them; the specs where one is to be named."""
    assert MISUSED[words] in refused(tmp_path, capsys, *words)


UNKNOWN = {
    "bnak": "there is no spec bnak in {specs}; did you mean bank? there are: bank\n",
    "zzz": "there is no spec zzz in {specs}; there are: bank\n",
    "Bank": "Bank is no name of a spec: name one of {specs}, without `.toml`; there are: bank\n",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_spec_is_answered_with_those_there_are(tmp_path: Path, name: str) -> None:
    """And with the one that was probably meant."""
    said = ratchet(tmp_path, "quarantine", name)
    assert said == (1, "", UNKNOWN[name].format(specs=tmp_path / "specs"))


def test_who_names_a_model_is_told_its_spec(tmp_path: Path) -> None:
    """The endpoint's name stands everywhere but on the command line."""
    spec = SPEC.replace('model = "bank"', 'model = "bank-model"')
    said = ratchet(tmp_path, "quarantine", "bank-model", spec=spec)
    assert said.err == "bank-model is the model of the spec bank: give the name of the spec\n"


def test_a_digest_that_is_nearly_right_is_named(tmp_path: Path) -> None:
    """Two digits swapped, or one left out, when it was typed off a screen."""
    bad = deliver(bank_at(tmp_path), "a,b\n1,2\n")
    digest = bad.digest[:12]
    typed = digest[:4] + ("0" if digest[4] != "0" else "1") + digest[5:]
    said = ratchet(tmp_path, "replay", "bank", typed)
    assert said.code == 1
    assert f"begins with {typed}; did you mean {digest}?" in said.err
    assert "no batch in quarantine begins with" in ratchet(tmp_path, "replay", "bank", "0" * 9).err


def test_a_usage_is_told_without_the_libraries_of_the_work() -> None:
    """Help and a mistyped word cost no seconds of imports."""
    code = (
        "import sys, include.cli.main\n"
        "sys.exit(' '.join({'polars', 'sklearn', 'mlflow'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.stderr == "\n"


LINES = {
    "./ratchet ro": {"roll-back"},
    "./ratchet promotions ": {"bank"},
    "./ratchet judge bank 1 --fo": {"--force"},
    "./ratchet completion z": {"zsh"},
    "./ratchet zzz --": set(),
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("line", LINES)
def test_a_shell_completes_commands_options_and_specs(tmp_path: Path, line: str) -> None:
    """The script asks the folder of the specs when Tab is pressed, whatever its name is."""
    home = tmp_path / 'a "folder" of $HOME'
    home.mkdir()
    script = ratchet(home, "completion", "bash").out
    words = line.split(" ")
    asked = (
        f"{script}\nCOMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _ratchet\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    plain = {name: text for name, text in os.environ.items() if name != "RATCHET_SPECS"}
    done = subprocess.run(
        ["bash", "-c", asked], env=plain, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert {*done.stdout.split("\n")} - {""} == LINES[line]
