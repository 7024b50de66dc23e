"""`agentgw reload`: the daemon reads its files again."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect
from agentgw.protocol.errors import ConfigRefused, InvalidParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from agentgw.client import Client


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints what changed. A daemon that does not run would read them when it starts, so it is not started."""
    with connect(spawn=False) as client:
        reload(client, as_json=args.json)
    return 0


def reload(client: Client, *, as_json: bool = False) -> None:
    """Has the files read again and prints what that changed."""
    try:
        result = client.call("daemon.reload")
    except InvalidParams as error:
        # The call has no parameters: the configuration is what cannot be used.
        raise ConfigRefused(error.message, hint=error.hint) from None
    if as_json:
        output.json_line(result)
        return
    for name in result["changed"]:
        output.line(f"changed  {name}")
    for name in result["restart_needed"]:
        output.line(f"restart  {name}")
    if not result["changed"] and not result["restart_needed"]:
        output.line("nothing changed")
