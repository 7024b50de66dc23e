"""`agentgw test`: a question with a yes or a no, as an exit status."""

from __future__ import annotations

import json

from agentgw.cli import output
from agentgw.cli.commands import connect, is_loaded, model_reference, working_directory
from agentgw.cli.commands.run import read_message, seconds
from agentgw.cli.timelimit import TimeLimit
from agentgw.protocol.errors import AgentgwError, SchemaUnmet, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

YES: Final = 0
NO: Final = 1
# Nothing was decided. Errors whose status is 1 elsewhere have this one here: they are no "no".
UNDECIDED: Final = SchemaUnmet.exit_status
_SYSTEM: Final = "You are asked about a text, or in general. Decide: yes or no. Where you cannot know, decide no."
_VERDICT: Final = {"type": "string", "enum": ["yes", "no"]}
_REASON_CHARACTERS: Final = 240


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("text", nargs="+", metavar="QUESTION", help="the question; piped input is what it is about")
    parser.add_argument("-m", "--model", help="the model to use")
    parser.add_argument("--reason", action="store_true", help="put one sentence on standard error that says why")
    parser.add_argument("--timeout", metavar="SECONDS", type=seconds, help="give up after so long")


def run(args: Namespace) -> int:
    """Decides; the exit status is 0 for yes, 1 for no, 6 where nothing was decided, and that of an error."""
    try:
        return _run(args)
    except AgentgwError as error:
        if error.exit_status != NO:
            raise
        output.report(error)
        return UNDECIDED


def _run(args: Namespace) -> int:
    with TimeLimit(args.timeout) as limit:
        message, piped = read_message(args.text, stdin_used=False)
        if not message.strip():
            raise UsageError("there is no question", hint="try: agentgw test 'is this an outage?' < log && page")
        connected = connect(warm=is_loaded(args.model))
    with connected as client:
        client.limit(limit.rest_s(), told_s=args.timeout)
        stream = client.stream(
            "turn.start", message=message, piped=piped or None, system=_SYSTEM, schema=_schema(args.reason),
            model=model_reference(client, args.model) if args.model is not None else None, options={"temperature": 0.0},
            tools=[], cwd=working_directory(), ephemeral=True,
        )  # fmt: skip
        for _ in stream:
            pass
    verdict, reason = _read(str(stream.result.get("text", "")))
    if reason:
        output.complaint(reason)
    return YES if verdict == "yes" else NO


def _schema(reason: bool) -> dict[str, Any]:
    if not reason:
        return _VERDICT
    # The reason first: a model that has said why decides better than one that has to find reasons for what it said.
    properties = {"reason": {"type": "string", "maxLength": _REASON_CHARACTERS}, "verdict": _VERDICT}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _read(text: str) -> tuple[str, str]:
    """The verdict and the reason. Raises SchemaUnmet where the text has none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    found = value if isinstance(value, dict) else {"verdict": value}
    verdict = found.get("verdict")
    if verdict not in ("yes", "no"):
        raise SchemaUnmet("the answer is neither yes nor no", path="", reason="neither yes nor no", text=text[:200])
    return verdict, str(found.get("reason", ""))
