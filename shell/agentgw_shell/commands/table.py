"""All commands, by groups, and the one that a line names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from agentgw.cli import output
from agentgw.protocol.errors import UsageError
from agentgw_shell.commands import asking, material, sessions, why
from agentgw_shell.commands.command import ChatCommand, Chatting
from agentgw_shell.leave import Leave

_KEYS: Final = """\
Keys
  Enter sends · Alt-Enter or Ctrl-J: new line · Ctrl-R searches · Ctrl-X Ctrl-E: editor
  Ctrl-C cancels the answer, twice on an empty line leaves · Ctrl-D leaves
  while it answers: Enter queues · Alt-S steers it · Backspace takes the last one back
Also
  /SKILLNAME TEXT: this message with that skill · @PATH: the file goes with the message
  !COMMAND: run a program, asked about as a tool's call is · +1 -1: rate the last answer"""


def _quit(chat: Chatting, text: str) -> None:
    raise Leave


def _help(chat: Chatting, text: str) -> None:
    width = max(len(f"/{one.name} {one.usage}") for one in COMMANDS.values())
    for group, commands in GROUPS.items():
        output.write(f"{group}\n")
        for one in commands:
            output.write(f"  {f'/{one.name} {one.usage}'.ljust(width)}  {one.summary}\n")
    output.write(f"{_KEYS}\n")
    output.flush()


GROUPS: Final[dict[str, tuple[ChatCommand, ...]]] = {
    "This conversation": sessions.COMMANDS,
    "How it answers": (*asking.COMMANDS, *why.COMMANDS),
    "Your documents": material.COMMANDS,
    "The daemon": material.DAEMON,
    "The chat": (
        ChatCommand(name="help", usage="", summary="this list", run=_help, offer="command"),
        ChatCommand(name="quit", usage="", summary="leave", run=_quit),
    ),
}
COMMANDS: Final = {one.name: one for commands in GROUPS.values() for one in commands}
_ALIASES: Final = {"exit": "quit", "q": "quit", "?": "help"}
_BARE: Final = {"exit": "quit", "quit": "quit"}
RATINGS: Final = {"+1": 1, "👍": 1, "-1": -1, "👎": -1}


def find(name: str) -> ChatCommand | None:
    """The command of this name, without its slash."""
    return COMMANDS.get(_ALIASES.get(name, name))


def bare(line: str) -> ChatCommand | None:
    """The command that a line without a slash is, if it is one."""
    return COMMANDS.get(_BARE.get(line, ""))


def unknown(name: str, skills: Iterable[str]) -> UsageError:
    """The error for a name that is neither a command nor a skill."""
    near = get_close_matches(name, [*names(), *skills], n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(f'/{one}' for one in near)}?" if near else "/help lists them"
    return UsageError(f"there is no command /{name[:80]}", hint=hint)


def names() -> Iterator[str]:
    """Names of all commands."""
    yield from COMMANDS
