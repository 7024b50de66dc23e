"""`agentgw call`: one raw call."""

from __future__ import annotations

import json
import sys

from agentgw.cli import output
from agentgw.cli.commands import connect
from agentgw.client import Stream
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("method", metavar="METHOD", help="its name; `rpc.discover` lists all")
    parser.add_argument("params", metavar="JSON", nargs="?", default="{}", help="an object, or an array by position")


def run(args: Namespace) -> int:
    """Prints the result as JSON. `event.subscribe` goes on with the events, a line each."""
    params = _params(args.params)
    with connect() as client:
        result = client.request(args.method, params)
        if output.is_terminal(sys.stdout):
            output.line(output.as_json(result))
        else:
            output.json_line(result)
        if args.method == "event.subscribe":
            for event in Stream(client, 0):
                output.json_line({"method": event.method, "params": event.params})
    return 0


def _params(text: str) -> Any:
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the parameters are not JSON: {error}", hint="""write them like '{"limit": 5}'""") from None
    if not isinstance(params, dict | list):
        raise UsageError("the parameters are neither an object nor an array", hint="""write them like '{"limit": 5}'""")
    return params
