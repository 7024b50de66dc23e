"""`agentgw approvals`: tool calls that wait for a yes, and what is always allowed."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.asking.approval_prompt import DECISIONS, lines
from agentgw.cli.commands import Action, add_json, connect, fetched
from agentgw.cli.terminal.times import local
from agentgw.protocol.visible import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def _list(args: Namespace) -> int:
    found = fetched(args, "approval.list")
    if found is None:
        return 0
    # Not a table: nothing that is decided about may be cut at the terminal's width.
    for approval in found["approvals"]:
        _show(approval, approval["approval_id"], f"until {escaped(local(approval['expires_at']))}")
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
    found = fetched(args, "approval.rules")
    if found is None:
        return 0
    for rule in found["rules"]:
        _show(rule, rule["rule_id"], f"since {escaped(local(rule['created_at']))}")
    output.flush()
    return 0


def _show(call: dict[str, Any], name: str, when: str) -> None:
    output.own_lines("\n".join((f"{escaped(name)}  {when}", *(f"  {text}" for text in lines(call)))))


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
