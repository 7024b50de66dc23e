"""`agentgw attach`: watch a turn from any terminal, replayed from its start."""

from __future__ import annotations

from agentgw.cli.commands import connect
from agentgw.cli.turn_printer import FORMATS, TurnPrinter, follow
from agentgw.protocol.errors import AgentgwError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("turn", metavar="TURN|SESSION", help="the turn, or a session for its running or latest one")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", dest="form", const="json", help="print the result as JSON")
    form.add_argument("--output-format", dest="form", choices=FORMATS, metavar="FORM", help="as in `agentgw run`")
    parser.set_defaults(form="text")


def run(args: Namespace) -> int:
    """Prints the turn to its end. Ctrl-C stops watching; the turn goes on."""
    answer = TurnPrinter(args.form)
    try:
        with connect() as client:
            return follow(client, client.stream("turn.attach", turn_id=args.turn), answer, cancel=False)
    except AgentgwError as error:
        error.partial = answer.partial()
        raise
