"""The state of a chat: its session, what the next message is asked with, and what came of the last one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentgw.cli.commands import working_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgw.client import Client, Stream


@dataclass(slots=True, kw_only=True)
class Conversation:
    """Everything that a message is sent with. Commands change it."""

    session: str | None = None
    skill: str | None = None
    model: str | None = None
    system: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    max_iterations: int | None = None
    #: Go with the next message: name and text of each.
    files: list[dict[str, str]] = field(default_factory=list)
    turn: str = ""
    message: str = ""
    answer: str = ""
    sources: tuple[Mapping[str, Any], ...] = ()
    used_tokens: int = 0
    tokens_per_s: float = 0.0

    def start(
        self, client: Client, message: str, *, skill: str | None = None, files: Sequence[dict[str, str]] = ()
    ) -> Stream:
        """Send a message. A skill and files given here are for this message alone."""
        self.turn, self.message, self.answer, self.sources = "", message, "", ()
        return client.stream("turn.start", **self.request(message, skill=skill, files=files))

    def request(
        self, message: str, *, skill: str | None = None, files: Sequence[dict[str, str]] = ()
    ) -> dict[str, Any]:
        """The parameters that a message is sent with."""
        return {
            "message": message, "skill": skill or self.skill, "model": self.model, "session_id": self.session,
            "system": self.system, "options": self.options or None, "max_iterations": self.max_iterations,
            "files": [*self.files, *files] or None, "approvals": ["ask"], "cwd": working_directory(),
        }  # fmt: skip

    def finish(self, result: Mapping[str, Any]) -> None:
        """Keep the result of a turn."""
        self.files.clear()
        self.turn = str(result.get("turn_id", self.turn))
        self.session = str(result.get("session_id", self.session))
        self.answer = str(result.get("text", ""))
        self.sources = tuple(result.get("sources", ()))
        usage, timings = result.get("usage", {}), result.get("timings", {})
        self.used_tokens = int(usage.get("prompt_tokens", 0)) + int(usage.get("completion_tokens", 0))
        self.tokens_per_s = float(timings.get("decode_tokens_per_s", 0.0))

    def leave_session(self, session: str | None = None) -> None:
        """Go on with another session, or a new one."""
        self.session = session
        self.turn = self.message = self.answer = ""
        self.sources, self.used_tokens = (), 0
