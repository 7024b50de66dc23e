"""Commands about the conversation: begin, find, go back, keep."""

from __future__ import annotations

import os
from typing import Any, Final

from agentgw.cli import output
from agentgw.cli.asking.code_blocks import last_block
from agentgw.cli.commands import working_directory
from agentgw.cli.terminal.times import local
from agentgw.protocol.errors import AlreadyExists, LocalError, NotFound, UsageError
from agentgw_shell.commands.command import ChatCommand, Chatting, unseen_turn, words_of

_LISTED: Final = 10


class FileNotWritten(LocalError):
    """A file cannot be written."""

    remedy = "/save takes another path"


def _new(chat: Chatting, text: str) -> None:
    chat.conversation.leave_session()
    output.notice("a new session begins with the next message")
    if text:
        chat.ask(text)


def _session(chat: Chatting, text: str) -> None:
    if text:
        _resume(chat, text)
        return
    if chat.conversation.session is None:
        output.notice("no session yet: it begins with the first message")
        return
    known = chat.client.call("session.get", session_id=chat.conversation.session)
    output.notice(f"{known['session_id']}: {known['title']} ({known['turns']} turns, {known['skill']})")


def _resume(chat: Chatting, text: str) -> None:
    if not text:
        sessions = chat.client.call("session.list", cwd=working_directory(), limit=_LISTED)["sessions"]
        rows = [
            (output.short_id(one["session_id"]), local(one["updated_at"]), one["turns"], one["title"])
            for one in sessions
        ]
        output.table(rows, ("session", "last used", "turns", "title"))
        return
    known = chat.client.call("session.get", session_id=text)
    chat.conversation.leave_session(known["session_id"])
    output.notice(f"going on with {known['session_id']}: {known['title']}")
    _show_last(chat)
    chat.attach(known["session_id"])


def _show_last(chat: Chatting) -> None:
    messages = chat.client.call("session.messages", session_id=chat.conversation.session, limit=2)["messages"]
    for message in messages:
        if message["role"] == "user":
            output.line(f"› {message['content']}")
        else:
            chat.conversation.answer, chat.conversation.turn = message["content"], message["turn_id"]
            chat.show_text(message["content"])


def _fork(chat: Chatting, text: str) -> None:
    _branch_off(chat, text or None)


def _branch_off(chat: Chatting, at: str | None) -> None:
    session = _current(chat)
    made = chat.client.call("session.fork", session_id=session, at=at)
    chat.conversation.leave_session(made["session_id"])
    output.notice(f"going on with {made['session_id']}; {session} stays as it is")


def _undo(chat: Chatting, text: str) -> None:
    _go_back(chat)


def _retry(chat: Chatting, text: str) -> None:
    message = _go_back(chat)
    # The texts of its files are a part of it.
    chat.ask(message, mentions=False)


def _edit(chat: Chatting, text: str) -> None:
    message = _go_back(chat)
    chat.prefill(message)


def _go_back(chat: Chatting) -> str:
    """Leave the session's last turn out, in a copy of the session; gives the message of that turn."""
    session = _current(chat)
    turns = chat.client.call("turn.list", session_id=session, limit=2)["turns"]
    if not turns:
        raise NotFound("the session has no turns yet", kind="turn")
    message = str(chat.client.call("turn.show", turn_id=turns[0]["turn_id"])["message"])
    if len(turns) == 1:
        chat.conversation.leave_session()
        output.notice(f"a new session begins with the next message; {session} stays as it is")
    else:
        _branch_off(chat, turns[1]["turn_id"])
    return message


def _history(chat: Chatting, text: str) -> None:
    if text:
        chat.run_verb("sessions", "search", "--", text)
    else:
        chat.run_verb("sessions", "show", _current(chat))


def _compact(chat: Chatting, text: str) -> None:
    session, conversation = _current(chat), chat.conversation
    if text == "undo":
        left = chat.client.call("session.expand", session_id=session)["turns"]
        shown = f"the {left} oldest turns are shown as the summary before" if left else "all turns are shown whole"
        output.notice(f"{shown} again")
        return
    if text:
        raise UsageError(f"there is no /compact {text[:40]}", hint="/compact sums up, /compact undo takes it back")
    output.notice("the model sums the earlier turns up; Ctrl-C leaves them as they are")
    made = chat.client.call("session.compact", session_id=session, model=conversation.model)
    before, after = made["tokens_before"], made["tokens_after"]
    if before == after:
        output.notice("its summary was not shorter than the turns, which stay as they are")
        return
    conversation.used_tokens = max(conversation.used_tokens - before + after, 0)
    chat.show_text(made["summary"])
    turns = "the oldest turn is" if made["turns"] == 1 else f"the {made['turns']} oldest turns are"
    output.notice(f"{turns} shown to the model like this: {after} tokens for {before}. /compact undo takes it back")


def _copy(chat: Chatting, text: str) -> None:
    if text not in ("", "code"):
        raise UsageError(f"there is no /copy {text[:40]}", hint="/copy takes all, /copy code the last code block")
    answer = chat.conversation.answer or str(unseen_turn(chat).get("text", ""))
    if not answer:
        raise NotFound("there is no answer yet", kind="turn")
    if text:
        block = last_block(answer)
        if block is None:
            raise NotFound("the answer has no code block", hint="/copy takes all of it", kind="turn")
        answer = block
    chat.to_clipboard(answer)
    output.notice(f"{len(answer)} characters were given to the terminal's clipboard")


def _save(chat: Chatting, text: str) -> None:
    words = words_of(text)
    if len(words) != 1:
        raise UsageError("/save wants one path", hint="try: /save talk.md")
    path = os.path.expanduser(words[0])
    form = "json" if path.lower().endswith(".json") else "md"
    exported: dict[str, Any] = chat.client.call("session.export", session_id=_current(chat), format=form)
    try:
        path = os.path.abspath(path)
        _write_new(path, exported["text"].encode("utf-8", "replace"))
    except FileExistsError:
        raise AlreadyExists(f"{path} is there already", hint="name another file") from None
    except (OSError, ValueError) as error:
        # A directory that is gone, a full disk; ValueError: a NUL in the path.
        raise FileNotWritten(f"{path} cannot be written: {getattr(error, 'strerror', error)}") from None
    output.notice(f"saved to {path}")


def _write_new(path: str, data: bytes) -> None:
    """A file that only its owner reads. Leaves no half of one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
    except BaseException:
        os.unlink(path)
        raise


def _current(chat: Chatting) -> str:
    if chat.conversation.session is None:
        raise NotFound("no session yet: it begins with the first message", kind="session")
    return chat.conversation.session


COMMANDS = (
    ChatCommand(name="new", usage="[TEXT]", summary="begin a new session", run=_new),
    ChatCommand(
        name="session", usage="[ID]", summary="show this session, or go to another", run=_session, offer="session"
    ),
    ChatCommand(
        name="resume",
        usage="[ID]",
        summary="list sessions of this directory, or go on with one",
        run=_resume,
        offer="session",
    ),
    ChatCommand(name="fork", usage="[TURN]", summary="go on in a copy of this session", run=_fork),
    ChatCommand(name="undo", usage="", summary="leave the last turn out", run=_undo),
    ChatCommand(name="retry", usage="", summary="ask the last message once more", run=_retry),
    ChatCommand(name="edit", usage="", summary="change the last message and ask it anew", run=_edit),
    ChatCommand(
        name="history", usage="[TEXT]", summary="this session's messages, or find a text in all sessions", run=_history
    ),
    ChatCommand(name="compact", usage="[undo]", summary="have the earlier turns summed up for the model", run=_compact),
    ChatCommand(
        name="copy", usage="[code]", summary="the last answer, or its last code block, to the clipboard", run=_copy
    ),
    ChatCommand(
        name="save", usage="PATH", summary="this session as Markdown, or JSON for a .json file", run=_save, offer="file"
    ),
)
