"""`agentgw reload`: the daemon reads its files again."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect
from agentgw.protocol.errors import ConfigRefused, InvalidParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from agentgw.client import Client


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add_json(parser)


def run(args: Namespace) -> int:
    """Has the files read again; prints what changed. No daemon is started, as it would read them then."""
    with connect(spawn=False) as client:
        reload(client, as_json=args.json)
    return 0


def reload(client: Client, *, as_json: bool = False) -> None:
    """Has the files read again and prints what that changed."""
    result = asked_to_reload(client, "daemon.reload")
    if as_json:
        output.json_line(result)
    else:
        tell_reloaded(result)


def asked_to_reload(client: Client, method: str, **params: str) -> dict[str, Any]:
    """The result of a call by which the daemon takes its configuration over. Raises ConfigRefused."""
    try:
        result: dict[str, Any] = client.call(method, **params)
    except InvalidParams as error:
        if error.data.get("path") != "config.toml":
            raise
        raise ConfigRefused(error.message, hint=error.hint) from None
    return result


def tell_reloaded(result: dict[str, Any]) -> None:
    """Prints what a reload changed."""
    for text in result.get("notices", ()):
        output.notice(text)
    for name in result["changed"]:
        output.line(f"changed  {name}")
    for name in result["restart_needed"]:
        output.line(f"restart  {name}")
    if not result["changed"] and not result["restart_needed"]:
        output.line("nothing changed")
