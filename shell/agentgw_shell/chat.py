"""The chat as a loop: a prompt, a message or a command, its answer.

Ctrl-C while an answer streams cancels that turn and keeps the session; at the prompt it clears the line, and twice on
an empty one it leaves. Ctrl-D leaves.
"""

from __future__ import annotations

import base64
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from prompt_toolkit.enums import EditingMode

from agentgw.cli import output
from agentgw.cli.commands import last_session, model_reference, working_directory
from agentgw.client import ConnectionLost
from agentgw.local.connect import connect_running
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AgentgwError, DaemonUnreachable, ModelUnavailable, NotFound, UsageError
from agentgw_shell.answering import Answering, lost
from agentgw_shell.conversation import Conversation
from agentgw_shell.leave import Leave
from agentgw_shell.opening import Opening
from agentgw_shell.prompt.completion import ChatCompleter
from agentgw_shell.prompt.editor import LineInterrupted, make_editor, was_interrupted
from agentgw_shell.prompt.first_prompt import PROMPT
from agentgw_shell.prompt.history import PrivateHistory
from agentgw_shell.prompt.mentions import mentioned_files
from agentgw_shell.prompt.paste import Pastes
from agentgw_shell.prompt.plain_editor import PlainEditor
from agentgw_shell.prompt.prefill import TypingPrefill
from agentgw_shell.prompt.status_bar import StatusBar
from agentgw_shell.screen_access import moves_cursor, write_to_terminal
from agentgw_shell.turns.draft import Draft
from agentgw_shell.turns.keyboard import Keyboard

if TYPE_CHECKING:
    from agentgw.client import Client, Stream
    from agentgw_shell.prompt.type_ahead import TypeAhead

# Nobody waits for the first facts, and a daemon that has just begun is slow on a busy machine.
_FIRST_PATIENCE_S: Final = 5.0
# States of a turn that goes on, also with the daemon after the one that began it.
_GOES_ON: Final = ("queued", "running", "waiting")


class Chat:
    """One chat. A context manager that closes the connection."""

    def __init__(self, terminal: TypeAhead, *, skill: str | None, model: str | None) -> None:
        self._terminal = terminal
        self._model = model
        #: Settings that messages are sent with.
        self.conversation = Conversation(skill=skill)
        self._pastes = Pastes()
        self._draft = Draft(self._pastes)
        self._bar = StatusBar(self.conversation)
        self._alert = "bell"
        self._prefilled = ""
        paths, environment = Paths(), Environment()
        os.makedirs(paths.state_dir, mode=0o700, exist_ok=True)
        self._draws = moves_cursor(environment)
        self._editor = PlainEditor(paths.history_file, terminal) if not self._draws else make_editor(
            paths.history_file, self._pastes, term=environment.term, colours=not environment.no_color,
            toolbar=self._bar.text, completer=ChatCompleter(self._client_now),
        )  # fmt: skip
        self._typing = TypingPrefill(self._request_of_draft, lambda: connect_running(paths))
        if not isinstance(self._editor, PlainEditor) and not environment.agentgw_url:
            self._editor.default_buffer.on_text_changed += lambda buffer: self._typing.edited(buffer.text)
        self._answering = Answering(
            self.conversation, terminal, Keyboard(sys.stdin.fileno()), self._draft, environment, self._call_user
        )
        self._taken = False
        self._computes_drafts = True
        self._opening = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opening.is_done and self._taken:
            self.client.close()

    @property
    def client(self) -> Client:
        """The connection, waited for. Raises AgentgwError."""
        if self._opening.has_failed:
            # What was wrong may have been mended.
            self._opening = self._open()
        client = self._opening.client()
        if not self._taken:
            self._taken = True
            for text in self._opening.notices:
                output.notice(text)
            if self._model is not None:
                self.conversation.model = model_reference(client, self._model)
                self._model = None
        return client

    def go_on(self, session: str | None, *, continued: bool) -> None:
        """Take a stored session up: the one named, or the last one of this directory. Raises AgentgwError."""
        if continued:
            session = last_session(self.client)
        if session is not None:
            known = self.client.call("session.get", session_id=session)
            self.conversation.leave_session(known["session_id"])
            output.notice(f"going on with {known['session_id']}: {known['title']}")
            self.attach(known["session_id"])

    def run(self) -> int:
        """Read and answer until the user leaves; gives the exit status."""
        emptied = False
        if isinstance(history := self._editor.history, PrivateHistory) and history.fault:
            output.notice(f"what is typed is kept for this chat only: {history.filename!s}: {history.fault}")
        while True:
            try:
                try:
                    message = self._next_message()
                except EOFError:
                    return 0
                emptied = False
                self.handle(message)
            except LineInterrupted as interrupt:
                if interrupt.was_empty and emptied:
                    return 0
                emptied = interrupt.was_empty
            except Leave:
                return 0
            except KeyboardInterrupt:
                # In the middle of a command, or beside the prompt: a fresh connection cannot be out of step.
                self._reconnect()
            except AgentgwError as error:
                output.report(error)
                # What waits was written for an answer that did not come.
                self._prefilled = self._prefilled or self._draft.take()
                if isinstance(error, DaemonUnreachable):
                    self._reconnect()

    def _next_message(self) -> str:
        queued = self._draft.next_message()
        if queued is not None:
            # As a message that was sent from the prompt looks.
            output.line(f"{PROMPT}{queued}")
            return self._pastes.expand(queued).strip()
        if (client := self._client_now()) is not None:
            self._bar.refresh(client)
        default = self._prefilled or self._draft.take()
        self._prefilled = ""
        try:
            message = self._editor.prompt(PROMPT, default=default)
        finally:
            self._typing.edited("")
        if not isinstance(self._editor, PlainEditor) and was_interrupted(self._editor):
            # In the same moment as Enter: it is for what was just sent.
            self._prefilled = message
            raise LineInterrupted(was_empty=False)
        return self._pastes.expand(message)

    def _request_of_draft(self, text: str) -> dict[str, Any] | None:
        """Parameters that this draft would be sent with; None for no message. For the thread that prefills."""
        message = self._pastes.expand(text).strip()
        # A model that was named on the command line is looked up when the connection is taken.
        ready = self._computes_drafts and self._opening.is_done and self._model is None
        if not ready or not message or message.startswith(("/", "!")):
            return None
        from agentgw_shell.commands import table
        from agentgw_shell.commands.asking import attached

        if table.bare(message) is not None or message in table.RATINGS:
            return None
        return self.conversation.request(message, files=[attached(path) for path in mentioned_files(message)])

    def handle(self, line: str) -> None:
        """One line: a command, or a message. Raises AgentgwError, KeyboardInterrupt and Leave."""
        text = line.strip()
        if not text:
            return
        if self._taken and self._opening.client().has_ended:
            # The daemon was restarted meanwhile, or upgraded: nothing is lost yet.
            self._reconnect()
        # Here and below, for the first prompt does not wait for what may come of it.
        from agentgw_shell.commands import table

        name, _, rest = text[1:].partition(" ")
        if (command := table.bare(text)) is not None:
            command.run(self, "")
        elif (rating := table.RATINGS.get(text)) is not None:
            self._rate(rating)
        elif text.startswith("!"):
            from agentgw_shell.commands.material import run_command

            run_command(self, text[1:])
        elif text.startswith("/") and "/" not in name:
            self._command(name, rest.strip())
        else:
            self.ask(text)

    def _command(self, name: str, rest: str) -> None:
        from agentgw_shell.commands import table

        command = table.find(name)
        if command is not None:
            command.run(self, rest)
            return
        skills = self.client.call("skill.list", cwd=working_directory())["skills"]
        names = [one["name"] for one in skills if not one.get("error")]
        if name.replace("_", "-") not in names:
            raise table.unknown(name, names)
        if rest:
            self.ask(rest, skill=name)
        else:
            table.COMMANDS["skill"].run(self, name)

    def ask(self, message: str, *, skill: str | None = None, mentions: bool = True) -> None:
        """Send a message and show the answer; a model that is missing is offered first."""
        from agentgw_shell.commands.asking import attached

        files = [attached(path) for path in mentioned_files(message)] if mentions else []
        try:
            self._ask(message, skill, files)
        except ModelUnavailable as error:
            if not isinstance(error.data.get("suggestion"), str):
                raise
            from agentgw.cli.commands.pull import offer

            with self._terminal.paused():
                pulled = offer(self.client, error)
            if not pulled:
                raise
            self._ask(message, skill, files)

    def _ask(self, message: str, skill: str | None, files: list[dict[str, str]]) -> None:
        client = self.client
        self._follow(client, self.conversation.start(client, message, skill=skill, files=files))

    def attach(self, session: str) -> None:
        """Show a session's running turn from its start, if there is one."""
        client = self.client
        turns = client.call("turn.list", session_id=session, running=True, limit=1)["turns"]
        if turns:
            self._follow(client, client.stream("turn.attach", turn_id=turns[0]["turn_id"]), cancel=False)

    def _follow(self, client: Client, stream: Stream, *, cancel: bool = True) -> None:
        try:
            status = self._answering.follow(client, stream, cancel=cancel)
        except ConnectionLost as error:
            output.complaint(lost(error))
            self._prefilled = self._draft.take()
            self._reconnect()
            self._take_up()
            return
        if status == output.INTERRUPTED:
            self._prefilled = self._draft.take()
            self._reconnect()
            output.notice("cancelled; the session goes on" if cancel else "the turn goes on without you")

    def _take_up(self) -> None:
        """Show the rest of a turn with which the next daemon goes on after this one went."""
        turn_id = self.conversation.turn
        if not turn_id:
            if self.conversation.message:
                output.notice("nothing was heard of the message; Enter sends it once more")
                self._prefilled = "\n".join(filter(None, (self.conversation.message, self._prefilled)))
            return
        client = self.client
        try:
            state = client.call("turn.show", turn_id=turn_id)["turn"]["state"]
        except NotFound:
            state = "interrupted"
        if state in _GOES_ON:
            output.notice("the daemon is back and goes on with it")
            self._follow(client, client.stream("turn.attach", turn_id=turn_id), cancel=False)
        else:
            output.notice("the daemon is back; the answer was cut off, /retry asks once more")

    def run_verb(self, *words: str) -> None:
        """Do what `agentgw WORDS…` does, in the terminal's usual mode."""
        from agentgw.cli import main as command_line

        with self._terminal.paused():
            try:
                command_line.dispatch(words)
            except SystemExit:
                # The end of argparse after --help.
                return

    def show_text(self, text: str) -> None:
        """Show a stored answer."""
        self._answering.show_text(text)

    def prefill(self, text: str) -> None:
        """Put a text into the next prompt."""
        self._prefilled = text

    def to_clipboard(self, text: str) -> None:
        """Hand a text to the terminal's clipboard, also from another machine (OSC 52). Raises UsageError."""
        if not self._draws:
            raise UsageError("this terminal has no clipboard that could be told", hint="/save PATH writes the session")
        write_to_terminal(f"\x1b]52;c;{base64.b64encode(text.encode('utf-8', 'replace')).decode()}\x07")

    def _rate(self, rating: int) -> None:
        turn = self.conversation.turn or self.conversation.session
        if not turn:
            raise NotFound("there is no answer yet", kind="turn")
        given = self.client.call("feedback.add", rating=rating, turn_id=turn)
        output.notice(f"{given['rating']:+} for the answer to: {given['message']}")

    def _client_now(self) -> Client | None:
        """The connection, if it is there without waiting."""
        return self.client if self._opening.is_done and not self._opening.has_failed else None

    def _reconnect(self) -> None:
        if not self._taken:
            # An attempt is under way.
            return
        self._opening.client().close()
        self._bar.lose("connecting")
        self._taken = False
        self._opening = self._open()

    def _open(self) -> Opening:
        return Opening(self._greet, self._fail)

    def _greet(self, client: Client) -> None:
        """Fill the bar beside the prompt that is there already. Called by the thread that connects."""
        if self._model is not None:
            # What is wrong with it is told where the first message wants it.
            with suppress(AgentgwError):
                self.conversation.model = model_reference(client, self._model)
        self._bar.refresh(client, _FIRST_PATIENCE_S)
        settings = {one["key"]: one["value"] for one in client.call("config.get", section="shell")["settings"]}
        self._alert = str(settings.get("shell.alert", self._alert))
        self._computes_drafts = settings.get("shell.prefill") is not False
        if settings.get("shell.editing") == "vi" and not isinstance(self._editor, PlainEditor):
            self._editor.editing_mode = EditingMode.VI
        self._draw_again()

    def _fail(self, error: BaseException) -> None:
        """Show in the bar that there is no connection. Called by the thread that could not connect."""
        self._bar.lose(f"no daemon: {error}")
        self._draw_again()

    def _draw_again(self) -> None:
        if not isinstance(self._editor, PlainEditor):
            self._editor.app.invalidate()

    def _call_user(self) -> None:
        """Tell the user by a bell or a notification of the terminal that a question waits."""
        if self._alert == "bell":
            write_to_terminal("\x07")
        elif self._alert == "osc9" and self._draws:
            write_to_terminal("\x1b]9;agentgw asks about a tool call\x07")
