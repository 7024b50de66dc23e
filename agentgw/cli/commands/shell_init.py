"""`agentgw shell-init`: a key of the user's shell that turns the line being typed into a command."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands.completion import shell_of
from agentgw.cli.shells.scripts import SHELLS, shell_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_MORE = """
Alt-E then replaces the line with the command that `agentgw run -e` proposes for it; nothing runs before Enter.
With --remember the shell keeps the last command and its exit status in its own memory, and Alt-W asks why it failed,
within tmux with the last 40 lines of the screen. Nothing of it is stored, and nothing is sent before that key.

  bash   eval "$(agentgw shell-init bash)" in ~/.bashrc
  zsh    eval "$(agentgw shell-init zsh)" in ~/.zshrc
  fish   agentgw shell-init fish | source in ~/.config/fish/config.fish"""


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("words", metavar="SHELL", nargs="+", help=f"one of: {', '.join(SHELLS)}")
    parser.add_argument(
        "--remember", action="store_true", help="also a key, Alt-W, that asks why the last command failed"
    )  # fmt: skip
    parser.epilog = f"{parser.epilog}\n{_MORE}"


def run(args: Namespace) -> int:
    """Prints the script."""
    shell = shell_of(args.words)
    output.text_block(shell_script("init", shell))
    if args.remember:
        output.text_block(shell_script("remember", shell))
    return 0
