"""`agentgw completion`: what the user's shell needs to complete words; with `--line` it answers that shell."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.shells.scripts import SHELLS, shell_script
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_MORE = """
  bash   eval "$(agentgw completion bash)" in ~/.bashrc
  zsh    eval "$(agentgw completion zsh)" in ~/.zshrc, behind compinit
  fish   agentgw completion fish | source in ~/.config/fish/config.fish"""


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("words", metavar="SHELL", nargs="+", help=f"one of: {', '.join(SHELLS)}")
    parser.add_argument(
        "--line", action="store_true", help="the words are a line: print what may stand for the last one"
    )
    parser.epilog = f"{parser.epilog}\n{_MORE}"


def run(args: Namespace) -> int:
    """Prints the script, or the words with a few words on each."""
    if not args.line:
        output.text_block(shell_script("completion", shell_of(args.words)))
        return 0
    from agentgw.cli.shells.completing import words_for

    for word, told in words_for(args.words):
        # A name with a line end, or with what is not seen, is another one where it is shown: it is not offered.
        if word == output.one_line(word):
            output.write(f"{word}\t{output.one_line(told)}".rstrip("\t") + "\n")
    output.flush()
    return 0


def shell_of(words: list[str]) -> str:
    """The one word, if it is a shell that there are scripts for. Raises UsageError."""
    if len(words) != 1 or words[0] not in SHELLS:
        raise UsageError(f"there is no script for {' '.join(words)[:80]}", hint=f"there are {', '.join(SHELLS)}")
    return words[0]
