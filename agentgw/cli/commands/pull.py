"""`agentgw pull`: download a model."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, answer_to, connect, model_reference
from agentgw.cli.terminal.progress import Bar
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
    if not isinstance(error.data.get("suggestion"), str) or not is_interactive():
        return False
    client.limit(None)
    return offer(client, error)


def offer(client: Client, error: ModelUnavailable) -> bool:
    """Asks on the terminal whether to download the model that is missing, and does so; tells whether one is here.

    Where there is none at all, the best that this machine can run is offered beside the suggested one.
    """
    suggestion = str(error.data["suggestion"])
    best = _best(client, suggestion) if error.data.get("reason") == "no model" else None
    if best is None:
        models = client.call("model.list")["models"]
        found: dict[str, Any] = next((model for model in models if model["name"] == suggestion), {})
        about = _about(found.get("description"), output.size(found.get("size_bytes")), found.get("licence"))
        question = f"Pull {suggestion} ({about})?" if about else f"Pull {suggestion}?"
        wanted = {"": suggestion, "y": suggestion, "yes": suggestion}.get(answer_to(question, "Y/n"))
    else:
        for number, model in enumerate(best, 1):
            line = _about(
                output.size(model["download_bytes"]), model.get("licence"), _rate(model), model.get("description")
            )
            output.notice(f"{number}. {model['name']}: {line}")
        first, second = (str(model["name"]) for model in best)
        answers = {"": first, "1": first, "y": first, "yes": first, "2": second}
        wanted = answers.get(answer_to("There is no model yet. Pull one of these?", "1/2/n"))
    if wanted is None:
        return False
    pull(client, wanted)
    return True


def _best(client: Client, suggested: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The suggested one and the best other model that this machine can run; None where there is no such choice."""
    from agentgw.protocol.errors import AgentgwError

    try:
        found = client.call("model.recommend")
    except AgentgwError:
        return None  # an older daemon, or one in trouble: what it suggested can still be pulled
    by_name = {model["name"]: model for model in found["models"]}
    starter = by_name.get(suggested)
    best = by_name.get(found.get("best"))
    return (starter, best) if starter is not None and best is not None else None


def _rate(model: dict[str, Any]) -> str:
    rate = model.get("tokens_per_s")
    return f"about {rate:.0f} tokens/s here" if rate is not None and rate >= 1 else ""


def _about(*facts: object) -> str:
    return ", ".join(str(fact) for fact in facts if fact)
