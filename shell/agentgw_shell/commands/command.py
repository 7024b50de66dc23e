"""One command of the chat, and what commands may use of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from agentgw.protocol.errors import UsageError

if TYPE_CHECKING:
    from agentgw.client import Client
    from agentgw_shell.conversation import Conversation

# Words that Tab offers for a command's arguments.
Offer = Literal["", "skill", "model", "session", "document", "file", "option", "command"]


class Chatting(Protocol):
    """The chat as commands see it."""

    @property
    def client(self) -> Client:
        """The connection."""

    @property
    def conversation(self) -> Conversation:
        """Everything that messages are asked with."""

    def ask(self, message: str, *, skill: str | None = None, mentions: bool = True) -> None:
        """Send a message and show the answer. Files that it mentions go along, unless `mentions` is off."""

    def attach(self, session: str) -> None:
        """Show a session's running turn from its start, if there is one."""

    def run_verb(self, *words: str) -> None:
        """Do what `agentgw WORDS…` does."""

    def show_text(self, text: str) -> None:
        """Show a text as an answer is shown."""

    def prefill(self, text: str) -> None:
        """Put a text into the next prompt."""

    def to_clipboard(self, text: str) -> None:
        """Hand a text to the terminal's clipboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCommand:
    """A command; `run` gets what stands behind its name. It raises AgentgwError where it cannot be done."""

    name: str
    usage: str
    summary: str
    run: Callable[[Chatting, str], None]
    offer: Offer = ""


def unseen_turn(chat: Chatting) -> Mapping[str, Any]:
    """The session's last turn in full, where this chat was not there when it was answered; else nothing."""
    conversation = chat.conversation
    if conversation.answer or conversation.session is None:
        return {}
    turns = chat.client.call("turn.list", session_id=conversation.session, limit=1)["turns"]
    detail: Mapping[str, Any] = chat.client.call("turn.show", turn_id=turns[0]["turn_id"]) if turns else {}
    return detail


def words_of(text: str) -> list[str]:
    """The words of a line, quoted as in a shell. Raises UsageError."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"the line cannot be read: {error}", hint="close the quotes, or escape them") from None
