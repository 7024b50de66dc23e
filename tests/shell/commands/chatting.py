"""A chat without a terminal and without a daemon: what commands do to it can be read off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentgw.client import Client
from agentgw.protocol.errors import NotFound
from agentgw_shell.commands import table
from agentgw_shell.conversation import Conversation

Answer = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ScriptedClient(Client):
    """Answers each method as the test says, or raises what it says; keeps what it was asked."""

    def __init__(self, answers: Mapping[str, Answer | Exception]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call(self, method: str, /, **params: Any) -> Any:
        self.asked.append((method, params))
        answer = self.answers.get(method, NotFound(f"nobody answers {method}"))
        if isinstance(answer, Exception):
            raise answer
        return answer(params) if callable(answer) else answer

    def params(self, method: str) -> dict[str, Any]:
        """The parameters of the last call of a method."""
        return [params for name, params in self.asked if name == method][-1]


class ScriptedChat:
    """See Chatting."""

    def __init__(self, answers: Mapping[str, Answer | Exception] | None = None, **conversation: Any) -> None:
        self.client = ScriptedClient(answers or {})
        self.conversation = Conversation(**conversation)
        self.asked: list[tuple[str, bool]] = []
        self.shown: list[str] = []
        self.verbs: list[tuple[str, ...]] = []
        self.attached: list[str] = []
        self.prefilled = ""
        self.clipboard: str | None = None

    def do(self, line: str) -> None:
        """One line, as it was typed."""
        name, _, rest = line.removeprefix("/").partition(" ")
        command = table.find(name)
        assert command is not None
        command.run(self, rest.strip())

    def ask(self, message: str, *, skill: str | None = None, mentions: bool = True) -> None:
        self.asked.append((message, mentions))

    def attach(self, session: str) -> None:
        self.attached.append(session)

    def run_verb(self, *words: str) -> None:
        self.verbs.append(words)

    def show_text(self, text: str) -> None:
        self.shown.append(text)

    def prefill(self, text: str) -> None:
        self.prefilled = text

    def to_clipboard(self, text: str) -> None:
        self.clipboard = text
