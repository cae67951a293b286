"""Parses the command line of `./ratchet`; errors show examples and suggest similar words."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from include.context.running_stack import with_stack
from include.settings import read_settings
from include.spec.spec_files import spec_names
from include.text.nearest import did_you_mean
from include.text.showable import showable_name

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "drop": ("santander monday.csv", "santander - --name monday.csv < monday.csv"),
    "quarantine": ("santander",),
    "replay": ("santander 3fa9c1", "santander 3fa9c1 --rows mended.csv"),
    "take": ("santander 3fa9c1",),
    "contract": ("santander", 'santander --change "age may be missing from now on"'),
    "migrate": ("santander",),
    "recover": ("santander", "santander --yes", "santander --yes --give-up"),
    "doctor": ("santander",),
    "promotions": ("santander",),
    "roll-back": (
        'santander --reason "it calls everything positive"',
        'santander --steps 2 --reason "both of last week"',
    ),
    "adopt": ('santander model.joblib --reason "from the old system" --fitted rows.csv',),
    "judge": (
        'santander 7 --reason "on the holdout of today"',
        'santander 7 --force --reason "the board wants it"',
    ),
    "transfer": ("santander-model --to bank",),
    "completion": ("bash > ~/.local/share/bash-completion/completions/ratchet", "zsh"),
}
"""Examples of arguments by command; a test parses each of them."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors show examples, and name the specs that exist."""

    def __init__(self, **options: Any) -> None:
        """`options` are those of ArgumentParser; the last word of `prog` is the command."""
        command = str(options.get("prog", "")).rpartition(" ")[2]
        lines = [f"  ./ratchet {command} {one}" for one in EXAMPLES.get(command, ())]
        epilog = "\n".join([f"example{'s' * (len(lines) > 1)}:", *lines]) if lines else None
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(**{"epilog": epilog, "formatter_class": form, **options})

    def error(self, message: str) -> NoReturn:
        """Print the error, the usage, examples and the specs; exit with code 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {showable_name(message)}\n{self._specs()}")

    def _specs(self) -> str:
        if not any(action.dest == "spec" for action in self._actions):
            return ""
        try:
            names = spec_names(read_settings(with_stack()).specs)
        except (ValueError, OSError):
            return ""
        return f"the specs are: {showable_name(', '.join(names))}\n" if names else ""


def parse_arguments(parser: CommandParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; an unknown command or option exits with code 2 and suggests a near one."""
    commands = commands_of(parser)
    command = next((word for word in words if not word.startswith("-")), "")
    if command and command not in commands:
        there = ", ".join(commands)
        near = did_you_mean(command, commands)
        parser.error(f"there is no command {command}{near or ';'} the commands are: {there}")
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    arguments, rest = parser.parse_known_args(words)
    if rest:
        mine = commands[command]
        near = did_you_mean(rest[0], options_of(mine)) if rest[0].startswith("-") else ""
        mine.error(f"{' '.join(rest)} is more than it takes{near}")
    return arguments


def commands_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of each command by its name."""
    kind = argparse._SubParsersAction  # noqa: SLF001 - it has no other name
    return next(dict(one.choices) for one in parser._actions if isinstance(one, kind))  # noqa: SLF001 - no other door


def options_of(parser: argparse.ArgumentParser) -> list[str]:
    """Return the long options of a command, such as `--yes`, in the order of their definition."""
    options = (name for one in parser._actions for name in one.option_strings)  # noqa: SLF001 - no other door
    return [name for name in options if name.startswith("--")]


def whole_number(text: str) -> int:
    """Parse an argument that is a whole number; ArgumentTypeError for anything else."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(text)


def steps_back(text: str) -> int:
    """Parse a number of promotions to roll back; ArgumentTypeError for anything else."""
    if not (number := whole_number(text)):
        raise argparse.ArgumentTypeError("0 promotions back is where it is")
    return number


def stated_reason(text: str) -> str:
    """Parse an argument that is a reason; ArgumentTypeError when it is blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: say why in a few words")
    return text


def share_of_one(text: str) -> float:
    """Parse an argument that is a number from 0 to 1; ArgumentTypeError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 to 1")
    return value
