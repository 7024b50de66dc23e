"""`agentgw turns`: what runs or waits, what a turn was, and how to end one."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect, fetched, fetched_pages, tell_more
from agentgw.cli.terminal.times import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def _configure_list(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also the latest that have ended")
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=50, help="the latest so many")
    add_json(parser)


def _list(args: Namespace) -> int:
    page = fetched_pages(args, "turn.list", "turns", running=not args.all)
    if page is None:
        return 0
    rows = [
        (output.short_id(turn["turn_id"]), _state(turn), local(turn["created_at"]),
         output.short_id(turn["session_id"]), turn["skill"], turn["model"])
        for turn in page["turns"]
    ]  # fmt: skip
    output.table(rows, ("turn", "state", "began", "session", "skill", "model"))
    tell_more(args, page)
    if not rows:
        output.notice("there is no turn yet" if args.all else "nothing runs or waits; --all shows what has ended, too")
    return 0


def _state(turn: dict[str, Any]) -> str:
    return f"{turn['state']}, detached" if turn.get("detached") else str(turn["state"])


def _configure_id(parser: ArgumentParser) -> None:
    parser.add_argument("turn", metavar="TURN", help="its id, or the beginning of it")


def _configure_show(parser: ArgumentParser) -> None:
    _configure_id(parser)
    add_json(parser)


def _show(args: Namespace) -> int:
    detail = fetched(args, "turn.show", turn_id=args.turn)
    if detail is None:
        return 0
    turn, usage = detail["turn"], detail["usage"]
    facts = [
        ("turn", turn["turn_id"]), ("session", turn["session_id"]), ("state", _state(turn)),
        ("skill", turn["skill"]), ("model", turn["model"]), ("began", local(turn["created_at"])),
        ("ended", local(turn.get("finished_at"))), ("finish", turn.get("finish_reason")), ("error", turn.get("error")),
        ("tokens", f"{usage['prompt_tokens']} read, {usage['completion_tokens']} written"),
        ("calls", ", ".join(f"{call['tool']} {_outcome(call)}" for call in detail.get("tool_calls", ()))),
        ("unreadable", ", ".join(detail.get("unreadable") or ())),
    ]  # fmt: skip
    output.pairs([(name, value) for name, value in facts if value])
    for title in ("message", "text"):
        if detail[title].strip():
            output.line("")
            output.prose(detail[title].strip())
    return 0


def _outcome(call: dict[str, Any]) -> str:
    return "cut off" if "ok" not in call else "ok" if call["ok"] else "failed"


def _cancel(args: Namespace) -> int:
    with connect() as client:
        client.call("turn.cancel", turn_id=args.turn)
    output.notice(f"cancelled {args.turn}")
    return 0


ACTIONS = {
    "list": Action(_list, "what runs and what waits for an answer", "agentgw turns --all", _configure_list),
    "show": Action(_show, "what was asked, called and answered", "agentgw turns show t-01JD", _configure_show),
    "cancel": Action(_cancel, "end a turn; its text so far is kept", "agentgw turns cancel t-01JD", _configure_id),
}
