"""A turn on the screen: prints what a `turn.start` or `turn.attach` streams, and ends it when the user wants."""

from __future__ import annotations

import os
import signal
import sys
import time

from agentgw.cli import output
from agentgw.cli.terminal.progress import Status
from agentgw.protocol.errors import AgentgwError, Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from agentgw.cli.terminal.wrapping import WordWrap
    from agentgw.client import Client, Stream
    from agentgw.transport.connection import Notification

FORMATS: Final = ("text", "json", "stream-json")
# The daemon cancels within one decode step; a prompt that is being read takes longer.
CANCEL_TIMEOUT_S: Final = 2.0
# A trace tells what happens, it is not the content: two lines of a terminal.
_TRACE_CHARACTERS: Final = 160
# Into a pipe a short answer goes in one write, so that lines of several commands do not mix. PIPE_BUF on Linux.
_ONE_WRITE_CHARACTERS: Final = 4096
# Whoever reads the pipe of a slow or long answer sees it come. A model that goes on writes more often than the first,
# also while it reads the prompts of others.
_PAUSE_S: Final = 2.0
_MOST_HELD_S: Final = 10.0
# Ends of a turn that are not its answer: exit status, and what is said of it.
_ENDS: Final = {
    "cancelled": (output.INTERRUPTED, "the turn was cancelled"),
    "iteration_limit": (8, "the limit of steps was reached before there was an answer; --max-iterations N raises it"),
}


class TurnPrinter:
    """Prints notifications as they come in the form that was asked for.

    `bounded`: whoever asked set the most tokens of the answer, and need not be told that it was cut there.
    `exact`: the answer is data, whose lines are not broken for a terminal.
    """

    def __init__(
        self,
        form: str = "text",
        *,
        streamed: bool = True,
        extract: bool = False,
        bounded: bool = False,
        exact: bool = False,
    ) -> None:
        self._form = form
        self._bounded = bounded
        # Of an answer with code, the code alone; which block is the last is known at the end.
        self._extract = extract
        self._streamed = streamed and form == "text" and not extract
        self._status = Status()
        # Newlines are held back until more follows: the answer ends in exactly one.
        self._held = ""
        # Text that a pipe has not been given yet, and since when; once it proves long, everything goes out at once.
        self._unsent = ""
        self._unsent_since = 0.0
        self._at_once = output.is_terminal(sys.stdout)
        self._exact = exact or extract
        self._wrap = _word_wrap() if self._at_once and self._streamed else None
        self._begun = False
        self._denied = False
        self._ids: dict[str, Any] = {}
        # For JSON: what there is of the answer when there will be no result.
        self._texts: list[str] = []
        self._facts: dict[str, Any] = {}
        self.turn_id = ""

    def show(self, notification: Notification, *, more: bool) -> None:
        """Prints one notification; `more` says that the next is here already, so that flushing can wait.

        Raises BrokenPipeError when nobody reads standard output.
        """
        params = notification.params
        if not self.turn_id:
            self.turn_id = str(params.get("turn_id", ""))
            self._ids = {name: params[name] for name in ("turn_id", "session_id") if name in params}
        if self._form != "text" and notification.method == "turn.delta" and params.get("channel") == "answer":
            self._texts.append(str(params.get("text", "")))
        self._denied = self._denied or bool(params.get("denied"))
        if notification.method == "turn.started":
            self._facts = {name: params.get(name) for name in ("model", "skill")}
        if self._form == "stream-json":
            output.json_line({"method": notification.method, "params": params})
        elif notification.method == "turn.delta":
            self._status.erase()
            if self._streamed and params.get("channel", "answer") == "answer":
                self._print(str(params.get("text", "")))
                if self._at_once and not more:
                    output.flush()
        elif notification.method == "turn.progress":
            self._status.show(
                str(params.get("phase")), params.get("done", 0), params.get("total", 0), params.get("position")
            )
        elif notification.method in ("turn.tool_call", "turn.tool_result"):
            self._trace(params)
        elif notification.method == "turn.notice":
            self.make_room()
            self._keep_order()
            output.notice(str(params.get("text", "")))

    def _wanted(self, text: str) -> str:
        """The part of the answer that is printed."""
        if not self._extract:
            return text
        from agentgw.cli.asking.code_blocks import last_block

        block = last_block(text)
        return text if block is None else block

    def finish(self, result: Mapping[str, Any]) -> int:
        """Prints the result where it was not streamed, and why the exit status is not 0; gives the exit status."""
        self._status.erase()
        self._facts.update((name, result.get(name)) for name in ("finish_reason", "usage", "timings"))
        if self._form == "text":
            if self._streamed:
                output.line(self._take())
            else:
                show = output.text_block if self._exact else output.prose
                show(self._wanted(str(result.get("text", ""))))
            _print_sources(result.get("sources", ()))
        else:
            output.json_line(result)
        reason = str(result.get("finish_reason"))
        if reason in _ENDS:
            status, told = _ENDS[reason]
            output.complaint(told)
            return status
        # Code without its end is not seen to be that, and is run.
        if reason == "length" and self._form == "text" and (self._extract or not self._bounded):
            output.notice("the answer was cut: it reached its most tokens (-o max_tokens=N), or the end of the context")
        if self._denied:
            output.complaint("a tool was denied, and the answer came about without it")
        return output.DENIED if self._denied else 0

    def partial(self) -> dict[str, Any]:
        """The answer so far, when there will be no result: goes beside the error into JSON."""
        return {**self._ids, "text": "".join(self._texts)}

    def tell_interrupted(self) -> None:
        """Prints the interruption as JSON, where JSON was asked for."""
        if self._form != "text":
            error = AgentgwError("interrupted")
            error.partial = self.partial()
            output.json_error(error, output.INTERRUPTED)

    def facts(self) -> dict[str, Any]:
        """Facts of the turn beside its answer: its ids, model and skill, and what it took once it has ended."""
        return {**self._ids, **self._facts}

    def break_off(self) -> None:
        """The answer stays incomplete; the cursor goes to a line of its own."""
        self._status.erase()
        if self._begun:
            output.line(self._take())

    def patience_s(self) -> float | None:
        """Seconds that the next notification may take before `release` is due; None when nothing is held."""
        if not self._unsent:
            return None
        return max(0.0, min(_PAUSE_S, self._unsent_since + _MOST_HELD_S - time.monotonic()))

    def release(self) -> None:
        """Writes what was held for one write. Raises BrokenPipeError when nobody reads standard output."""
        self._at_once = self._at_once or time.monotonic() >= self._unsent_since + _MOST_HELD_S
        output.write(self._take())
        output.flush()

    def _keep_order(self) -> None:
        """Flushes one stream before the other is written, where both lead to the same place: what came first is
        there first.
        """
        if self._unsent and os.path.sameopenfile(1, 2):
            self.release()

    def _take(self) -> str:
        """Takes what was printed and not written yet: by a pipe's one write, or as a word without its end."""
        unsent, self._unsent = self._unsent, ""
        return unsent + (self._wrap.flush() if self._wrap is not None else "")

    def _trace(self, params: Mapping[str, Any]) -> None:
        """A call as one line on stderr, and what was wrong with it."""
        self.make_room()
        self._keep_order()
        if "tool" in params:
            arguments = ", ".join(f"{name}={value!r}" for name, value in params.get("arguments", {}).items())
            output.notice(_short(f"{params['tool']}({arguments})"))
        elif not params.get("ok"):
            output.notice(_short(f"failed: {params.get('content', '')}"))

    def approve(self, client: Client, approval: Mapping[str, Any]) -> None:
        """Asks about a tool call, on the terminal if there is one."""
        from agentgw.cli.asking.approval_prompt import ask

        self.make_room()
        ask(client, approval)

    def make_room(self) -> None:
        """The cursor goes to a line of its own on a terminal: somebody else writes."""
        self._status.erase()
        if self._wrap is not None and self._wrap.is_within_line:
            output.write(self._wrap.feed("\n"))
            output.flush()

    def _print(self, text: str) -> None:
        self._begun = True
        text = self._held + text
        kept = text.rstrip("\n")
        self._held = text[len(kept) :]
        if self._at_once:
            output.write(kept if self._wrap is None else self._wrap.feed(output.visible(kept)))
            return
        self._unsent_since = self._unsent_since if self._unsent else time.monotonic()
        self._unsent += kept
        if _reader_is_gone():
            raise BrokenPipeError
        if len(self._unsent) > _ONE_WRITE_CHARACTERS:
            self._at_once = True
            self.release()


def _word_wrap() -> WordWrap:
    # Here, for a pipe does not need it.
    from agentgw.cli.terminal.wrapping import WordWrap

    return WordWrap(output.columns)


def _reader_is_gone() -> bool:
    """Tells whether standard output is a pipe that nobody reads: known before anything is written."""
    # Here, for only answers into a pipe need it.
    from select import POLLERR, poll

    waiter = poll()
    waiter.register(1, 0)
    return any(event & POLLERR for _, event in waiter.poll(0))


def _short(text: str) -> str:
    # Cut after the escaping: what is not seen must not use up what is.
    line = output.one_line(text)
    return line if len(line) <= _TRACE_CHARACTERS else f"{line[:_TRACE_CHARACTERS]}…"


def _print_sources(sources: Sequence[Mapping[str, Any]]) -> None:
    """Prints the sources that the answer rests on under it, for whoever reads it on a terminal."""
    if not output.is_terminal(sys.stderr):
        return
    for number, chunk in enumerate(sources, 1):
        lines = "-".join(str(line) for line in dict.fromkeys(chunk.get("lines", ())))
        title = f" {chunk['title_path']}" if chunk.get("title_path") else ""
        output.notice(f"[{number}] {chunk.get('source', '')}:{lines}{title}")


def follow(client: Client, stream: Stream, answer: TurnPrinter, *, cancel: bool = True) -> int:
    """Prints the stream to its end; gives the exit status.

    Ctrl-C, SIGTERM, the time limit and a closed standard output cancel the turn, or with `cancel` off just stop
    watching it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for notification in stream:
            answer.show(notification, more=stream.has_pending)
            if notification.method == "turn.approval":
                answer.approve(client, notification.params)
            if (patience_s := answer.patience_s()) is not None and not client.has_message(patience_s):
                answer.release()
        return answer.finish(stream.result)
    except (KeyboardInterrupt, Timeout, BrokenPipeError) as reason:
        if cancel:
            cancel_turn(client, stream, answer.turn_id)
        if isinstance(reason, BrokenPipeError):
            raise
        answer.break_off()
        if isinstance(reason, Timeout):
            raise
        answer.tell_interrupted()
        return output.INTERRUPTED
    except AgentgwError:
        answer.break_off()
        raise


def cancel_turn(client: Client, stream: Stream, turn_id: str) -> None:
    """Ends the turn and waits a little, so that the next command finds its session free."""
    if not turn_id:
        # Nothing is known of it yet: closing the connection cancels it.
        return
    try:
        client.limit(CANCEL_TIMEOUT_S)
        client.send("turn.cancel", turn_id=turn_id)
        for _ in stream:
            pass
    except (AgentgwError, KeyboardInterrupt):
        return


def is_interactive() -> bool:
    """Tells whether somebody is there to be asked a question."""
    return output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)
