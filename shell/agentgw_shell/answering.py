"""A message and its answer on the terminal, also where the daemon goes meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agentgw.cli import output
from agentgw.cli.turn_printer import TurnPrinter, cancel_turn, follow
from agentgw.client import ConnectionLost
from agentgw_shell.screen_access import moves_cursor, terminal_size, write_to_terminal

if TYPE_CHECKING:
    from agentgw.client import Client, Stream
    from agentgw.local.environment import Environment
    from agentgw.transport.connection import Notification
    from agentgw_shell.conversation import Conversation
    from agentgw_shell.prompt.type_ahead import TypeAhead
    from agentgw_shell.turns.draft import Draft
    from agentgw_shell.turns.keyboard import Keyboard


class Answering:
    """Shows the answers of one chat."""

    def __init__(
        self,
        conversation: Conversation,
        terminal: TypeAhead,
        keyboard: Keyboard,
        draft: Draft,
        environment: Environment,
        alert: Callable[[], None],
    ) -> None:
        self._conversation = conversation
        self._terminal = terminal
        self._keyboard = keyboard
        self._draft = draft
        self._alert = alert
        self._is_plain = not may_draw(environment)

    def follow(self, client: Client, stream: Stream, *, cancel: bool = True) -> int:
        """Show a turn to its end; gives an exit status. Raises AgentgwError.

        Ctrl-C cancels it, or with `cancel` off stops watching it; the connection is then to be replaced.
        """
        if self._is_plain:
            printer = _Printer(self._conversation, self._approve)
            status = follow(client, stream, printer, cancel=cancel)
            if status != output.INTERRUPTED:
                self._conversation.finish(stream.result)
            return status
        # Here, for the first prompt does not wait for what draws the first answer.
        from agentgw_shell.turns.view import TurnView
        from agentgw_shell.turns.watching import Watch

        view = TurnView(write_to_terminal, terminal_size)
        try:
            Watch(client, view, self._keyboard, self._draft, lambda params: self._approve(client, params)).run(stream)
        except KeyboardInterrupt:
            if cancel:
                cancel_turn(client, stream, view.turn_id)
            view.finish()
            return output.INTERRUPTED
        except BaseException:
            view.finish()
            raise
        finally:
            self._conversation.turn = view.turn_id
            self._conversation.session = view.session_id or self._conversation.session
        view.finish(stream.result.get("sources", ()))
        self._conversation.finish(stream.result)
        return 0

    def show_text(self, text: str) -> None:
        """A stored answer, as it was shown when it came."""
        if self._is_plain:
            output.text_block(text)
            return
        from agentgw_shell.rendering.markdown import rendered
        from agentgw_shell.rendering.spans import paint

        lines = rendered(text, max(terminal_size()[0] - 1, 8))
        write_to_terminal("".join(f"{paint(line)}\r\n" for line in lines))

    def _approve(self, client: Client, approval: Mapping[str, Any]) -> None:
        from agentgw.cli.asking.approval_prompt import ask

        self._alert()
        with self._terminal.paused():
            ask(client, approval)


class _Printer(TurnPrinter):
    """Prints as `agentgw run` does, and takes the ids from the first notification: a cancelled turn has them too."""

    def __init__(self, conversation: Conversation, ask_about: Callable[[Client, Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._conversation = conversation
        self._ask_about = ask_about

    def show(self, notification: Notification, *, more: bool) -> None:
        params = notification.params
        self._conversation.session = params.get("session_id", self._conversation.session)
        self._conversation.turn = str(params.get("turn_id", self._conversation.turn))
        super().show(notification, more=more)

    def approve(self, client: Client, approval: Mapping[str, Any]) -> None:
        """Ask about a tool call, with the terminal back in the mode in which a line is typed."""
        self.make_room()
        self._ask_about(client, approval)


def may_draw(environment: Environment) -> bool:
    """Tells whether answers are drawn as Markdown: on a terminal that has colours, and may show them."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    drawn = moves_cursor(environment) and not environment.no_color
    return unicode and drawn and output.is_terminal(sys.stdout)


def lost(error: ConnectionLost) -> str:
    """The words for a daemon that has gone in the middle of an answer."""
    return f"{error.message}; what is on the screen is as far as it came"
