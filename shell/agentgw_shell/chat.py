"""The conversation: one session, a message at a time, answers streamed.

Ctrl-C while an answer streams cancels that turn and keeps the session; at the prompt it clears the line.
Ctrl-D leaves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from agentgw import __version__
from agentgw.cli import output
from agentgw.cli.commands import connect, model_reference, working_directory
from agentgw.cli.commands.pull import offer
from agentgw.cli.turn_printer import TurnPrinter, follow
from agentgw.client import Client
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AgentgwError, DaemonUnreachable, ModelUnavailable, UsageError
from agentgw.transport.connection import Notification
from agentgw_shell.editor import TypeAhead, make_editor

_PROMPT: Final = "› "
_HELP: Final = """\
/new            begin a new session
/session        show this session's id
/help           this list
/quit           leave (also Ctrl-D)
Enter sends · Alt-Enter or Ctrl-J: new line · Ctrl-C: cancel the answer, keep the session"""


class Chat:
    """The chat's state: which session, skill and model, and the connection."""

    def __init__(
        self, client: Client, terminal: TypeAhead, *, skill: str | None, model: str | None, session: str | None
    ) -> None:
        self._client = client
        self.terminal = terminal
        self._skill = skill
        self._model = model
        self.session = session

    @classmethod
    def open(
        cls, terminal: TypeAhead, *, skill: str | None, model: str | None, session: str | None, continued: bool
    ) -> Self:
        """A chat with a daemon that runs; the session to go on with is found and its title shown."""
        client = connect(warm=True)
        try:
            if continued:
                found = client.call("session.list", cwd=working_directory(), limit=1)["sessions"]
                session = found[0]["session_id"] if found else None
            if session is not None:
                known = client.call("session.get", session_id=session)
                session = known["session_id"]
                output.notice(f"going on with {session}: {known['title']}")
            model = model_reference(client, model) if model else None
        except BaseException:
            client.close()
            raise
        return cls(client, terminal, skill=skill, model=model, session=session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def run(self) -> int:
        """Read and answer until the user leaves; gives the exit status."""
        paths = Paths()
        os.makedirs(paths.state_dir, mode=0o700, exist_ok=True)
        editor = make_editor(paths.history_file)
        output.notice(f"agentgw {__version__}, /help lists the commands, Ctrl-D leaves")
        while True:
            try:
                message = editor.prompt(_PROMPT).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return 0
            if message in ("exit", "quit", "/quit", "/exit"):
                return 0
            try:
                self.handle(message)
            except DaemonUnreachable as error:
                output.report(error)
                self._reconnect()
            except AgentgwError as error:
                output.report(error)

    def handle(self, message: str) -> None:
        """One command or one message. Raises AgentgwError; the chat goes on."""
        if not message:
            return
        if message.startswith("/"):
            self._command(message)
            return
        try:
            self._ask(message)
        except ModelUnavailable as error:
            suggestion = error.data.get("suggestion")
            if not isinstance(suggestion, str):
                raise
            with self.terminal.paused():
                pulled = offer(self._client, suggestion)
            if not pulled:
                raise
            self._ask(message)

    def _command(self, line: str) -> None:
        name = line[1:].split(maxsplit=1)[0] if len(line) > 1 else ""
        commands: Mapping[str, Callable[[], None]] = {"new": self._new, "session": self._show, "help": self._help}
        command = commands.get(name)
        if command is None:
            raise UsageError(f"there is no command /{name}", hint="/help lists them")
        command()

    def _new(self) -> None:
        self.session = None
        output.notice("a new session begins with the next message")

    def _show(self) -> None:
        output.notice(self.session or "no session yet: it begins with the first message")

    def _help(self) -> None:
        for line in _HELP.splitlines():
            output.line(line)

    def _ask(self, message: str) -> None:
        stream = self._client.stream(
            "turn.start",
            message=message,
            skill=self._skill,
            model=self._model,
            session_id=self.session,
            approvals=["ask"],
            cwd=working_directory(),
        )
        status = follow(self._client, stream, _Watching(self))
        if status == output.INTERRUPTED:
            # An interrupt may have come in the middle of a message: a fresh connection cannot be out of step.
            self._reconnect()
            output.notice("cancelled; the session goes on")

    def _reconnect(self) -> None:
        self._client.close()
        self._client = connect(warm=True)


class _Watching(TurnPrinter):
    """Prints, and takes the session's id from the first notification: a cancelled turn belongs to it too."""

    def __init__(self, chat: Chat) -> None:
        super().__init__()
        self._chat = chat

    def show(self, notification: Notification, *, more: bool) -> None:
        self._chat.session = notification.params.get("session_id", self._chat.session)
        super().show(notification, more=more)

    def approve(self, client: Client, approval: Mapping[str, Any]) -> None:
        """Asks for the approval as always, with the terminal back in the mode in which a line is typed."""
        with self._chat.terminal.paused():
            super().approve(client, approval)
