"""Asking about a tool call on the terminal. Imported only when a turn asks.

Everything that is shown is escaped, so that what a model wrote cannot change what is read before the answer. What was
typed before the question was on the screen is no answer to it; neither Enter nor the end of input is a yes.
"""

from __future__ import annotations

import json
import os
import sys
import termios

from agentgw.cli import output
from agentgw.cli.commands import connect
from agentgw.protocol.errors import AgentgwError, AlreadyExists, DaemonUnreachable, NotFound
from agentgw.protocol.visible import escaped
from agentgw.transport.connection import Notification

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Final

    from agentgw.client import Client

DECISIONS: Final = {"once": "allow_once", "session": "allow_session", "always": "allow_always", "deny": "deny"}
_ENDS: Final = {
    "allow_once": "allowed once", "allow_session": "allowed for the session", "allow_always": "always allowed",
    "deny": "denied", "expired": "nobody answered in time",
}  # fmt: skip
_LINE_BYTES: Final = 4096


def lines(approval: Mapping[str, Any]) -> Iterator[str]:
    """The lines that somebody has to see before an answer, escaped: the exact arguments, where, and what would
    change.
    """
    shown = [
        f"arguments: {escaped(json.dumps(approval.get('arguments'), ensure_ascii=False))}",
        f"in: {escaped(str(approval.get('cwd', '')))}",
    ]
    shown += [text for text in map(escaped, approval.get("details") or ()) if text not in shown]
    title = escaped(str(approval.get("title") or ""))
    yield f"{escaped(str(approval.get('tool')))}{f': {title}' if title else ''}"
    for text in shown:
        yield f"  {text}"
    for text in str(approval.get("diff") or "").split("\n"):
        if text:
            yield f"  | {escaped(text, lines=True)}"


def ask(client: Client, approval: Mapping[str, Any]) -> None:
    """Shows the call, reads an answer and sends it, unless it is settled before: elsewhere, or by time.

    Without a terminal it says how to answer from another one. Raises KeyboardInterrupt for Ctrl-C, and Timeout when
    the client's limit passes.
    """
    approval_id = str(approval.get("approval_id"))
    try:
        # A connection of its own: how the question ends is heard there at once, and the turn's stream stays whole.
        with connect(spawn=False) as approvals:
            approvals.limit_as(client)
            if _is_open(approvals, approval_id):
                _ask(approvals, approval, approval_id)
    except DaemonUnreachable:
        # The turn's own connection is gone as well, and whoever reads it says so.
        return


def _ask(approvals: Client, approval: Mapping[str, Any], approval_id: str) -> None:
    terminal = _open_terminal()
    if terminal is None:
        output.notice(f"a tool call waits: agentgw approvals answer {approval_id} {'|'.join(DECISIONS)}")
        return
    try:
        decision = _read_decision(approvals, terminal, approval, approval_id)
    except (KeyboardInterrupt, AgentgwError):
        _show(terminal, "\n")
        raise
    finally:
        os.close(terminal)
    if decision is None:
        return
    try:
        approvals.call("approval.answer", approval_id=approval_id, decision=decision)
    except (AlreadyExists, NotFound) as error:
        # The turn goes on with the other answer, which may be a yes where this one was a no.
        output.notice(error.message)


def _read_decision(approvals: Client, terminal: int, approval: Mapping[str, Any], approval_id: str) -> str | None:
    """The decision, or None when the question is settled."""
    shown = "\n".join(("The agent wants to use a tool.", *lines(approval)))
    _show(terminal, output.broken(shown, terminal) + "\n")
    prompt = f"Allow {escaped(str(approval.get('tool')))}? [o]nce [s]ession [a]lways [d]eny (Enter: deny)"
    prompt = output.broken(prompt, terminal) + " "
    termios.tcflush(terminal, termios.TCIFLUSH)
    while True:
        _show(terminal, prompt)
        while approvals.wait_message(terminal):
            end = _end_of(approvals.next_message(), approval_id)
            if end:
                # Half a word was for this question, not for what reads the terminal next.
                termios.tcflush(terminal, termios.TCIFLUSH)
                _show(terminal, f"\nno longer asked: {_ENDS.get(end, 'withdrawn')}\n")
                return None
        try:
            typed = os.read(terminal, _LINE_BYTES)
        except OSError:
            # The terminal was closed.
            return "deny"
        if not typed.endswith(b"\n"):
            # Ctrl-D leaves the cursor behind the question.
            _show(terminal, "\n")
        answer = typed.decode("utf-8", "replace").strip().lower()
        for word, decision in DECISIONS.items():
            if answer in (word, word[0]):
                return decision
        if not answer:
            return "deny"


def _is_open(approvals: Client, approval_id: str) -> bool:
    """Tells whether the question waits. When it ends later, `approvals` hears of it."""
    approvals.call("event.subscribe", topics=["approvals"])
    listing = approvals.stream("approval.list")
    ends = [_end_of(said, approval_id) for said in listing]
    return not any(ends) and any(one["approval_id"] == approval_id for one in listing.result["approvals"])


def _end_of(message: object, approval_id: str) -> str:
    """The end of the question, if the message tells it: a decision, `expired` or `withdrawn`; else the empty string."""
    params = message.params if isinstance(message, Notification) else {}
    data, name = params.get("data"), params.get("name")
    if name not in ("answered", "withdrawn") or not isinstance(data, dict) or data.get("approval_id") != approval_id:
        return ""
    return str(data.get("decision", name))


def _open_terminal() -> int | None:
    """The terminal of this process, where somebody looks at standard error."""
    if not output.is_terminal(sys.stderr):
        return None
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None


def _show(terminal: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(terminal, data) :]
