"""Scripts that let a shell complete commands, options and specs of `./ratchet`.

The scripts do not start Python, which would make every Tab slow. Names of specs are completed from
the files that are in the folder of specs at that moment.
"""

import argparse
import shlex
from pathlib import Path

from include.cli.command_line import commands_of, options_of

SHELLS = ("bash", "zsh")
_BASH = """\
# Completion of ./ratchet: source this file, or put it where your shell looks for completions.
_ratchet() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words="" file
  case "$word" in
  -*)
    case "${{COMP_WORDS[1]}}" in
{options}
    esac
    ;;
  *)
    if [ "$COMP_CWORD" = 1 ]; then
      words={commands}
    elif [ "$COMP_CWORD" = 2 ] && [ "${{COMP_WORDS[1]}}" = completion ]; then
      words="bash zsh"
    elif [ "$COMP_CWORD" = 2 ]; then
      for file in "${{RATCHET_SPECS:-"{specs}"}}"/*.toml; do
        file="${{file##*/}}"
        words="$words ${{file%.toml}}"
      done
    fi
    ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _ratchet ratchet ./ratchet
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def completion_script(shell: str, parser: argparse.ArgumentParser, specs: Path) -> str:
    """Return the completion script for a shell of `SHELLS`; `specs` is the folder of specs."""
    commands = commands_of(parser)
    options = "\n".join(
        f"    {name}) words={shlex.quote(' '.join(options_of(one)))} ;;"
        for name, one in commands.items()
    )
    text = _BASH.format(
        commands=shlex.quote(" ".join(commands)),
        options=options,
        specs="".join(f"\\{one}" if one in '"$`\\' else one for one in str(specs)),
    )
    return text if shell == "bash" else _ZSH + text
