"""`agentgw approvals`: tool calls that wait for a yes, and what is always allowed."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.approval_prompt import DECISIONS, lines
from agentgw.cli.commands import Action, add_json, connect
from agentgw.cli.times import local
from agentgw.protocol.visible import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _list(args: Namespace) -> int:
    with connect() as client:
        found = client.call("approval.list")
    if args.json:
        output.json_line(found)
        return 0
    # Not a table: nothing that is decided about may be cut at the terminal's width.
    for approval in found["approvals"]:
        output.write(f"{escaped(approval['approval_id'])}  until {escaped(local(approval['expires_at']))}\n")
        for text in lines(approval):
            output.write(f"  {text}\n")
    output.flush()
    if not found["approvals"]:
        output.notice("nothing waits for an answer")
    return 0


def _configure_answer(parser: ArgumentParser) -> None:
    parser.add_argument("approval", metavar="ID", help="its id, as `agentgw approvals` shows it")
    parser.add_argument("decision", choices=tuple(DECISIONS), help="a yes for once, the session or always, or a no")


def _answer(args: Namespace) -> int:
    with connect() as client:
        client.call("approval.answer", approval_id=args.approval, decision=DECISIONS[args.decision])
    return 0


def _rules(args: Namespace) -> int:
    with connect() as client:
        found = client.call("approval.rules")
    if args.json:
        output.json_line(found)
        return 0
    for rule in found["rules"]:
        output.write(f"{escaped(rule['rule_id'])}  since {escaped(local(rule['created_at']))}\n")
        for text in lines(rule):
            output.write(f"  {text}\n")
    output.flush()
    return 0


def _configure_revoke(parser: ArgumentParser) -> None:
    parser.add_argument("rule", metavar="ID", help="its id, as `agentgw approvals rules` shows it")


def _revoke(args: Namespace) -> int:
    with connect() as client:
        client.call("approval.revoke", rule_id=args.rule)
    return 0


ACTIONS = {
    "list": Action(_list, "what waits for an answer now", "agentgw approvals", add_json),
    "answer": Action(_answer, "say yes or no", "agentgw approvals answer a-01JD once", _configure_answer),
    "rules": Action(_rules, "what `always` allowed", "agentgw approvals rules", add_json),
    "revoke": Action(_revoke, "ask about such a call again", "agentgw approvals revoke r-01JD", _configure_revoke),
}
