"""`agentgw pull`: download a model."""

from __future__ import annotations

import sys

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect, model_reference
from agentgw.cli.progress import Bar
from agentgw.cli.turn_printer import is_interactive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from agentgw.client import Client
    from agentgw.protocol.errors import ModelUnavailable


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("model", metavar="REF", help="smollm2:135m, hf:OWNER/REPO[:QUANT] or hf:OWNER/REPO/FILE.gguf")
    add_json(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def run(args: Namespace) -> int:
    """Downloads it; one that is here already is left as it is."""
    if args.quiet:
        output.be_quiet()
    with connect() as client:
        model = pull(client, model_reference(client, args.model))
    if args.json:
        output.json_line(model)
    else:
        output.line(str(model["name"]))
    return 0


def pull(client: Client, reference: str) -> dict[str, Any]:
    """Downloads a model with a bar on standard error; gives what the daemon says of it."""
    bar = Bar(reference)
    stream = client.stream("model.pull", model=reference)
    try:
        for notification in stream:
            if notification.method == "model.progress":
                bar.update(notification.params.get("done_bytes", 0), notification.params.get("total_bytes", 0))
    finally:
        bar.close()
    model: dict[str, Any] = stream.result
    return model


def offer_suggested(client: Client, error: ModelUnavailable) -> bool:
    """Offers to pull the model that the daemon suggests; true when the user wanted it and it is here."""
    suggestion = error.data.get("suggestion")
    if not isinstance(suggestion, str) or not is_interactive():
        return False
    client.limit(None)
    return offer(client, suggestion)


def offer(client: Client, reference: str) -> bool:
    """Asks on the terminal whether to download a model, and does so; tells whether it is here."""
    models = client.call("model.list")["models"]
    found: dict[str, Any] = next((model for model in models if model["name"] == reference), {})
    facts = [found.get("description"), output.size(found.get("size_bytes")), found.get("licence")]
    about = ", ".join(str(fact) for fact in facts if fact)
    question = f"Pull {reference} ({about})?" if about else f"Pull {reference}?"
    sys.stderr.write(f"{output.one_line(question)} [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
        return False
    pull(client, reference)
    return True
