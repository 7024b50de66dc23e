"""`agentgw sessions`: stored conversations."""

from __future__ import annotations

import sys

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect, last_session
from agentgw.protocol.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

    from agentgw.client import Client

# Length of a call's arguments and of its result: two lines of a terminal each.
_CALL_CHARACTERS: Final = 160


def _configure_list(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=50, help="the latest so many")
    add_json(parser)


def _list(args: Namespace) -> int:
    with connect() as client:
        page = client.call("session.list", limit=args.limit)
    if args.json:
        output.json_line(page)
        return 0
    rows = [
        (session["session_id"], session["updated_at"], session["turns"], session["skill"], _title(session))
        for session in page["sessions"]
    ]
    output.table(rows, ("session", "last used", "turns", "skill", "title"))
    return 0


def _title(session: dict[str, Any]) -> str:
    """The title; of a session that another one delegated to, with that one before it, where it is not cut off."""
    return f"for {session['parent_id']}: {session['title']}" if session.get("delegated_by") else str(session["title"])


def configure_show(parser: ArgumentParser) -> None:
    """The arguments of `show`."""
    parser.add_argument("session", metavar="ID", nargs="?", help="its id, or the beginning of it")
    parser.add_argument(
        "-c", "--continue", dest="continued", action="store_true", help="the last session started in this directory"
    )
    add_json(parser)


def show(args: Namespace) -> int:
    """Prints all messages of one session, the oldest first."""
    if args.continued == (args.session is not None):
        raise UsageError("name a session, or take the last one here with -c", hint="see agentgw sessions")
    with connect() as client:
        session = last_session(client) if args.continued else args.session
        if session is None:
            raise NotFound("no session was started here yet", hint="agentgw sessions lists all", kind="session")
        messages = _messages(client, session)
    if args.json:
        output.json_line({"messages": messages})
        return 0
    for message in messages:
        cut = " (cut off)" if message.get("interrupted") else ""
        # The id that `sessions fork --at`, `attach` and `feedback` want.
        output.write(f"{message['role']}{cut}, {message['created_at']}, {message['turn_id']}:\n")
        calls = "".join(_call(call) for call in message.get("tool_calls", ()))
        said = message["content"].rstrip("\n") + "\n"
        # An answer comes after the calls; a question without an answer before them.
        output.write(f"{calls}{said}\n" if message["role"] == "assistant" else f"{said}{calls}\n")
    output.flush()
    return 0


def _call(call: dict[str, Any]) -> str:
    """A call and the start of what came of it; `--json` has all."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in call["arguments"].items())
    outcome = "cut off" if "ok" not in call else "" if call["ok"] else "failed: "
    return f"  {_short(call['tool'] + '(' + arguments + ')')}\n    {_short(outcome + (call.get('content') or ''))}\n"


def _short(text: str) -> str:
    line = output.one_line(text)
    return line if len(line) <= _CALL_CHARACTERS else f"{line[:_CALL_CHARACTERS]}…"


def _messages(client: Client, session_id: str) -> list[dict[str, Any]]:
    """Every message: the pages come newest first, each in order."""
    page = client.call("session.messages", session_id=session_id)
    messages: list[dict[str, Any]] = page["messages"]
    while before := page.get("next"):
        page = client.call("session.messages", session_id=session_id, before=before)
        messages = page["messages"] + messages
    return messages


def _configure_search(parser: ArgumentParser) -> None:
    parser.add_argument(
        "query", metavar="TEXT", nargs="+", help='words that must all occur; "in quotes" a phrase, sock* a beginning'
    )
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=20, help="at most so many")
    add_json(parser)


def _search(args: Namespace) -> int:
    with connect() as client:
        found = client.call("session.search", query=" ".join(args.query), limit=args.limit)
    if args.json:
        output.json_line(found)
        return 0
    if output.is_terminal(sys.stdout):
        # A line of its own: behind three columns the match would be cut off.
        for hit in found["messages"]:
            output.table_row((hit["session_id"], hit["created_at"][:10], hit["role"], hit["title"]), (0, 0, 9, 0))
            output.write(f"    {output.one_line(hit['snippet'])}\n")
        output.flush()
        return 0
    rows = [(hit["session_id"], hit["created_at"], hit["role"], hit["snippet"]) for hit in found["messages"]]
    output.table(rows, ("session", "when", "role", "text"))
    return 0


def _configure_id(parser: ArgumentParser) -> None:
    parser.add_argument("session", metavar="ID", help="its id, or the beginning of it")


def _configure_rename(parser: ArgumentParser) -> None:
    _configure_id(parser)
    parser.add_argument("title", metavar="TITLE", nargs="+", help="the new title")


def _rename(args: Namespace) -> int:
    with connect() as client:
        output.line(client.call("session.rename", session_id=args.session, title=" ".join(args.title))["title"])
    return 0


def _configure_fork(parser: ArgumentParser) -> None:
    _configure_id(parser)
    parser.add_argument("--at", metavar="TURN", help="the last turn to keep; without it, all")


def _fork(args: Namespace) -> int:
    with connect() as client:
        output.line(client.call("session.fork", session_id=args.session, at=args.at)["session_id"])
    return 0


def _configure_export(parser: ArgumentParser) -> None:
    _configure_id(parser)
    parser.add_argument("--format", choices=("md", "json"), default="md", help="Markdown or JSON")


def _export(args: Namespace) -> int:
    with connect() as client:
        output.text_block(client.call("session.export", session_id=args.session, format=args.format)["text"])
    return 0


def _delete(args: Namespace) -> int:
    with connect() as client:
        client.call("session.delete", session_id=args.session)
    output.notice(f"deleted {args.session}")
    return 0


ACTIONS = {
    "list": Action(_list, "the latest sessions", "agentgw sessions list -n 10", _configure_list),
    "show": Action(show, "the messages of one session", "agentgw sessions show 01JD", configure_show),
    "search": Action(
        _search, "find messages in all sessions", 'agentgw sessions search "unix socket"', _configure_search
    ),
    "rename": Action(
        _rename, "give a session a title", "agentgw sessions rename 01JD holiday plans", _configure_rename
    ),
    "fork": Action(_fork, "branch off a copy and print its id", "agentgw sessions fork 01JD", _configure_fork),
    "export": Action(
        _export, "a session as Markdown or JSON", "agentgw sessions export 01JD > talk.md", _configure_export
    ),
    "delete": Action(_delete, "remove a session with its messages", "agentgw sessions delete 01JD", _configure_id),
}
