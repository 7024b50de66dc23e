"""`agentgw tools`: what a model may call, and a call by hand."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.asking.approval_prompt import ask
from agentgw.cli.commands import Action, add_json, connect, fetched, working_directory
from agentgw.cli.commands.run import read_approvals
from agentgw.protocol.errors import ToolFailed, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

_HINT: Final = """try: agentgw tools call read_file '{"path": "README.md"}'"""


def _list(args: Namespace) -> int:
    found = fetched(args, "tool.list")
    if found is None:
        return 0
    rows = [
        (tool["name"], tool["source"], tool.get("effect"), tool.get("error") or tool["description"])
        for tool in found["tools"]
    ]
    output.table(rows, ("name", "source", "effect", "description"))
    return 0


def _configure_call(parser: ArgumentParser) -> None:
    parser.add_argument("tool", metavar="NAME", help="the tool")
    parser.add_argument("arguments", metavar="JSON", nargs="?", default="{}", help="its arguments, a JSON object")
    parser.add_argument("--approve", metavar="ask|deny|TOOL", help="asked about, or run unasked; a terminal is asked")
    add_json(parser)


def _call(args: Namespace) -> int:
    import json

    try:
        arguments = json.loads(args.arguments)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the arguments are no JSON: {error}", hint=_HINT) from None
    if not isinstance(arguments, dict):
        raise UsageError("the arguments must be a JSON object", hint=_HINT)
    with connect() as client:
        stream = client.stream(
            "tool.call", tool=args.tool, arguments=arguments, cwd=working_directory(),
            approvals=read_approvals(args.approve),
        )  # fmt: skip
        for notification in stream:
            if notification.method == "turn.approval":
                ask(client, notification.params)
    result = stream.result
    if args.json:
        output.json_line(result)
        return 0 if result["ok"] else 1
    if not result["ok"]:
        # What a program wrote keeps its lines; the last one tells how it ended.
        said, _, end = str(result["content"]).rstrip("\n").rpartition("\n")
        if said:
            output.text_block(said)
        raise ToolFailed(f"{args.tool}: {end}")
    output.text_block(result["content"])
    return 0


ACTIONS = {
    "list": Action(_list, "what a model may call", "agentgw tools list", add_json),
    "call": Action(_call, "call one", """agentgw tools call read_file '{"path": "README.md"}'""", _configure_call),
}
