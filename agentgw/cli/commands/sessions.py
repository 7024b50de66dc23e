"""`agentgw sessions`: stored conversations."""

from __future__ import annotations

import sys
import time

from agentgw.cli import output
from agentgw.cli.commands import (
    PAGE,
    Action,
    add_json,
    agreed,
    connect,
    daemon_path,
    fetched,
    fetched_pages,
    last_session,
    tell_more,
)
from agentgw.cli.terminal.times import local, utc
from agentgw.cli.turn_printer import is_interactive
from agentgw.protocol.errors import AgentgwError, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from typing import Any, Final

    from agentgw.client import Client

# Length of a call's arguments and of its result: two lines of a terminal each.
_CALL_CHARACTERS: Final = 160
_COLUMNS_WITH_SKILL: Final = 72
_COLUMNS_WITH_TURNS: Final = 56
_DATE_CHARACTERS: Final = 10
# Seconds of the units that an age is given in.
_AGES: Final = {"h": 3600, "d": 86_400, "w": 604_800}


def _configure_list(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=50, help="the latest so many")
    add_json(parser)


def _list(args: Namespace) -> int:
    page = fetched_pages(args, "session.list", "sessions")
    if page is None:
        return 0
    # On a narrow terminal the title is worth more than all else.
    columns = output.columns() if output.is_terminal(sys.stdout) else _COLUMNS_WITH_SKILL
    turns, skill = columns >= _COLUMNS_WITH_TURNS, columns >= _COLUMNS_WITH_SKILL
    rows = [
        (output.short_id(session["session_id"]),
         local(session["updated_at"]) if turns else local(session["updated_at"])[:_DATE_CHARACTERS],
         *((session["turns"],) if turns else ()), *((session["skill"],) if skill else ()), title)
        for session, title in _under_parents(page["sessions"])
    ]  # fmt: skip
    more = (*(("turns",) if turns else ()), *(("skill",) if skill else ()))
    output.table(rows, ("session", "last used", *more, "title"))
    tell_more(args, page)
    if not rows:
        output.notice('there is no session yet: agentgw run "why is the sky blue?" begins one')
    return 0


def _under_parents(sessions: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """The sessions with their titles, those that another one delegated to under that one, where it is listed."""
    ids = {session["session_id"] for session in sessions}
    below: dict[str, list[dict[str, Any]]] = {}
    for session in sessions:
        if session.get("delegated_by") and session["parent_id"] in ids:
            below.setdefault(session["parent_id"], []).append(session)

    def lines(session: dict[str, Any], depth: int) -> Iterator[tuple[dict[str, Any], str]]:
        title = str(session["title"])
        if depth:
            title = f"└{'─' * (depth - 1)} {title}"
        elif session.get("delegated_by"):
            title = f"for {output.short_id(session['parent_id'])}: {title}"
        yield session, title
        # Begun one after another: as they worked. Popped, so that a circle of bad records ends.
        for child in reversed(below.pop(session["session_id"], [])):
            yield from lines(child, depth + 1)

    for session in sessions:
        if not (session.get("delegated_by") and session["parent_id"] in ids):
            yield from lines(session, 0)


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
        output.own_lines(f"{message['role']}{cut}, {local(message['created_at'])}, {message['turn_id']}:")
        calls = "".join(_call(call) for call in message.get("tool_calls", ()))
        said = message["content"].rstrip("\n") + "\n"
        # An answer comes after the calls; a question without an answer before them.
        output.prose(f"{calls}{said}" if message["role"] == "assistant" else f"{said}{calls}")
        output.line("")
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
    found = fetched(args, "session.search", query=" ".join(args.query), limit=args.limit)
    if found is None:
        return 0
    if not found["messages"]:
        output.notice("nothing was found")
    if output.is_terminal(sys.stdout):
        # A line of its own: behind three columns the match would be cut off.
        for hit in found["messages"]:
            output.table_row(
                (
                    output.short_id(hit["session_id"]),
                    local(hit["created_at"])[:_DATE_CHARACTERS],
                    hit["role"],
                    hit["title"],
                ),
                (0, 0, 9, 0),
            )
            output.paragraph(hit["snippet"], indent=4)
        output.flush()
        return 0
    rows = [(hit["session_id"], local(hit["created_at"]), hit["role"], hit["snippet"]) for hit in found["messages"]]
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


def _configure_compact(parser: ArgumentParser) -> None:
    _configure_id(parser)
    parser.add_argument("--keep", metavar="N", type=int, default=1, help="so many of the latest turns stay whole (1)")
    parser.add_argument("-m", "--model", metavar="MODEL", help="who writes the summary; else who answered last")
    add_json(parser)


def _compact(args: Namespace) -> int:
    made = fetched(args, "session.compact", session_id=args.session, keep=args.keep, model=args.model)
    if made is None:
        return 0
    before, after = made["tokens_before"], made["tokens_after"]
    if before == after:
        output.notice("its summary was not shorter than the turns, which stay as they are")
        return 0
    output.prose(made["summary"])
    turns = "the oldest turn is" if made["turns"] == 1 else f"the {made['turns']} oldest turns are"
    output.notice(
        f"{turns} shown to the model like this: {after} tokens for {before}."
        f" agentgw sessions expand {made['session_id']} takes it back"
    )
    return 0


def _configure_expand(parser: ArgumentParser) -> None:
    _configure_id(parser)
    add_json(parser)


def _expand(args: Namespace) -> int:
    made = fetched(args, "session.expand", session_id=args.session)
    if made is None:
        return 0
    left = made["turns"]
    oldest = "the oldest turn is" if left == 1 else f"the {left} oldest turns are"
    output.notice(f"{oldest} shown as the summary before again" if left else "all turns are shown whole again")
    return 0


def _configure_export(parser: ArgumentParser) -> None:
    _configure_id(parser)
    parser.add_argument("--format", choices=("md", "json"), default="md", help="Markdown or JSON")


def _export(args: Namespace) -> int:
    with connect() as client:
        output.text_block(client.call("session.export", session_id=args.session, format=args.format)["text"])
    return 0


def _configure_delete(parser: ArgumentParser) -> None:
    parser.add_argument("session", metavar="ID", nargs="*", help="their ids, or beginnings or ends of them")
    parser.add_argument("--older-than", metavar="AGE", help="all that were last used before that: 30d, 12h, 2w")
    parser.add_argument("--dir", metavar="DIR", help="all that were started in this directory")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _delete(args: Namespace) -> int:
    by_rule = args.older_than is not None or args.dir is not None
    if bool(args.session) == by_rule:
        raise UsageError("say which sessions, by ids or by --older-than and --dir", hint="see agentgw sessions")
    before = _moment_before(args.older_than) if args.older_than is not None else None
    directory = daemon_path(args.dir) if args.dir is not None else None
    with connect() as client:
        if by_rule:
            going = _chosen(client, before, directory)
        else:
            # Each is looked up first, so that a wrong id among them deletes nothing.
            named = [client.call("session.get", session_id=one) for one in args.session]
            going = list({session["session_id"]: session for session in named}.values())
        if not going:
            output.notice("there is no such session")
            return 0
        if not args.yes and not _may_delete(going, by_rule=by_rule):
            return 1
        for number, session in enumerate(going, 1):
            try:
                client.call("session.delete", session_id=session["session_id"])
            except NotFound:
                # It went with the session that had delegated to it.
                continue
            except AgentgwError:
                output.complaint(f"{number - 1} of {len(going)} sessions were deleted before this")
                raise
    output.notice(f"deleted {going[0]['session_id'] if len(going) == 1 else f'{len(going)} sessions'}")
    return 0


def _may_delete(going: list[dict[str, Any]], *, by_rule: bool) -> bool:
    """Asks, and tells whether the answer is yes. A script that names them has said so; one with a rule has not."""
    what = f"the session “{going[0]['title']}”" if len(going) == 1 else f"{len(going)} sessions"
    turns = sum(session["turns"] for session in going)
    question = f"Delete {what} with {turns} turn{'' if turns == 1 else 's'}?"
    if is_interactive():
        return agreed(question)
    if by_rule:
        raise UsageError(f"this would delete {what}", hint="--yes does it without asking")
    return True


def _chosen(client: Client, before: str | None, directory: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    at: str | None = None
    while True:
        page = client.call("session.list", limit=PAGE, before=at, cwd=directory)
        found += [one for one in page["sessions"] if before is None or one["updated_at"] < before]
        at = page.get("next")
        if at is None:
            return found


def _moment_before(age: str) -> str:
    """The time of the wire so long ago. Raises UsageError."""
    number, unit = age[:-1], age[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and unit in _AGES):
        raise UsageError(f"{age[:40] or 'nothing'} is no age", hint="write 30d, 12h or 2w: days, hours or weeks")
    return utc(max(time.time() - int(number) * _AGES[unit], 0.0))


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
    "compact": Action(
        _compact,
        "have the model shown a summary of all turns but the last",
        "agentgw sessions compact 01JD",
        _configure_compact,
    ),
    "expand": Action(_expand, "take the last summary back", "agentgw sessions expand 01JD", _configure_expand),
    "export": Action(
        _export, "a session as Markdown or JSON", "agentgw sessions export 01JD > talk.md", _configure_export
    ),
    "delete": Action(
        _delete, "remove sessions with their messages", "agentgw sessions delete --older-than 30d", _configure_delete
    ),
}
