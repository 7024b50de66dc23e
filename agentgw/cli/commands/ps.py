"""`agentgw ps`: the daemon's workers. Starts nothing."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints a line a worker."""
    with connect(spawn=False) as client:
        workers = client.call("daemon.status")["workers"]
    if args.json:
        output.json_line({"workers": workers})
        return 0
    rows = [
        (worker["pid"], worker["kind"], worker.get("model"), output.size(worker["rss_bytes"]),
         f"{worker['busy']}/{worker['slots']}", output.rate(worker), worker.get("detail"))
        for worker in workers
    ]  # fmt: skip
    output.table(rows, ("pid", "kind", "model", "memory", "busy", "tokens/s", "how"))
    return 0
