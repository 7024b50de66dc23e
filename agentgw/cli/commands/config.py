"""`agentgw config`: settings and where they come from."""

from __future__ import annotations

import json
import os

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect, fetched
from agentgw.cli.commands.reload import asked_to_reload, reload, tell_reloaded
from agentgw.cli.commands.restart import check_configuration
from agentgw.cli.terminal.editor import edit
from agentgw.local.connect import connect_running
from agentgw.local.directories import prepare, private_umask
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AgentgwError, ConfigRefused, DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

_HEAD: Final = """\
# Settings of agentgw. A line without its # is in force, and what has one shows the default. `agentgw config edit` takes
# the file over when it is closed; `agentgw config show --origin` tells what holds and why."""
_TAIL: Final = """
# An endpoint that speaks OpenAI's chat completions; its models are NAME/MODEL.
# [providers.NAME]
# base_url = "https://llm.example.com/v1"
# api_key_env = "NAME_API_KEY"

# A server of the Model Context Protocol: a command to run, or an address as `url`.
# [mcp.servers.NAME]
# command = "uvx"
# args = ["mcp-server-time"]
"""


def _configure_show(parser: ArgumentParser) -> None:
    parser.add_argument("section", metavar="SECTION|KEY", nargs="?", help="one section, or one key")
    parser.add_argument("--origin", action="store_true", help="say where each value comes from")
    add_json(parser)


def _show(args: Namespace) -> int:
    found = fetched(args, "config.get", section=args.section)
    if found is None:
        return 0
    settings = found["settings"]
    if args.origin:
        rows = [(setting["key"], setting.get("value"), setting["origin"]) for setting in settings]
        output.table(rows, ("key", "value", "origin"))
    else:
        output.pairs([(setting["key"], setting.get("value")) for setting in settings])
    return 0


def _configure_set(parser: ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="section.key")
    parser.add_argument("value", metavar="VALUE", help="a word, a number, true or false; a list with commas")


def _set(args: Namespace) -> int:
    """Has the daemon change the file, which keeps its comments, and take it over."""
    with connect() as client:
        tell_reloaded(asked_to_reload(client, "config.set", key=args.key, value=args.value))
    return 0


def _configure_unset(parser: ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="section.key")


def _unset(args: Namespace) -> int:
    """Has the daemon take it out of the file, so that the default holds."""
    with connect() as client:
        tell_reloaded(asked_to_reload(client, "config.unset", key=args.key))
    return 0


def _path(args: Namespace) -> int:
    output.line(Paths().config_file)
    return 0


def _edit(args: Namespace) -> int:
    """Opens the file in the user's editor. A running daemon reads it afterwards; without one it is checked."""
    paths = Paths()
    prepare(paths)
    _begin(paths.config_file)
    edit(paths.config_file)
    try:
        client = connect_running(paths)
    except DaemonUnreachable:
        check_configuration()
        return 0
    with client:
        reload(client)
    return 0


def _begin(path: str) -> None:
    """Makes the file with every setting in it as a comment, unless there is one with anything in it."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigRefused(f"{path}: is not a regular file", hint="remove it, or put a file in its place")
    if os.path.lexists(path) and (not os.path.isfile(path) or os.path.getsize(path)):
        return
    try:
        with connect() as client:
            text = _commented(client.call("config.get")["settings"])
    except AgentgwError as error:
        # Whoever wants to mend something gets a file in any case.
        output.notice(f"the settings are not listed in the file: {error.message}")
        text = ""
    with private_umask(), open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _commented(settings: list[dict[str, Any]]) -> str:
    lines = [_HEAD]
    section = ""
    for setting in settings:
        head, _, name = setting["key"].rpartition(".")
        # Of a name of the user's own there is none in a file that is only begun.
        if "." in head:
            continue
        if head != section:
            section = head
            lines.append(f"\n[{section}]")
        if setting.get("about"):
            lines.append(f"# {output.one_line(setting['about'])}")
        value = setting.get("value") if setting["origin"] == "default" else None
        lines.append(f"# {name} = {'…' if value is None else json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, _TAIL])


ACTIONS = {
    "show": Action(_show, "every setting", "agentgw config show --origin", _configure_show),
    "set": Action(_set, "change one setting", "agentgw config set agent.max_iterations 20", _configure_set),
    "unset": Action(
        _unset, "take one out, back to its default", "agentgw config unset agent.max_iterations", _configure_unset
    ),
    "path": Action(_path, "the file's path", "agentgw config path"),
    "edit": Action(_edit, "open the file in your editor", "agentgw config edit"),
}
