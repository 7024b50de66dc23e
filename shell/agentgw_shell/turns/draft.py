"""Typing while a turn runs: a line being written, and the messages that wait. Does no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from agentgw.protocol.visible import escaped
from agentgw_shell.rendering.cells import pieces, width
from agentgw_shell.rendering.spans import DIM, PLAIN, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgw_shell.prompt.paste import Pastes

# More are counted, not listed.
_MOST_LISTED: Final = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """The action that a key asks for."""

    kind: Literal["queue", "steer"]
    text: str


class Draft:
    """One line of typing and a queue. Full editing is the prompt's, which gets what is left of it."""

    def __init__(self, pastes: Pastes) -> None:
        self.text = ""
        self.queue: list[str] = []
        self._pastes = pastes
        self._escaped = False

    def press(self, key: str, data: str) -> Wish | None:
        """Take one key; gives what it asks for. Keys have the names that prompt-toolkit gives them."""
        after_escape, self._escaped = self._escaped, key == "escape"
        match key:
            case "c-m" if after_escape:
                self.text += "\n"
            case "c-m":
                return self._send()
            case "c-j":
                self.text += "\n"
            case "s" if after_escape:
                return self._steer()
            case "c-h" | "up" if not self.text and self.queue:
                self.text = self.queue.pop()
            case "c-h":
                self.text = self.text[:-1]
            case "c-u":
                self.text = ""
            case "c-w":
                words = self.text.rstrip()
                self.text = words[: max(words.rfind(" "), words.rfind("\n")) + 1]
            case "<bracketed-paste>":
                self.text += self._pastes.shorten(data)
            case _ if len(key) == 1 and key.isprintable() and not after_escape:
                self.text += key
        return None

    def next_message(self) -> str | None:
        """The message that waits longest, taken out."""
        return self.queue.pop(0) if self.queue else None

    def take(self) -> str:
        """Take out all text that was typed and not sent, for the prompt."""
        text = "\n".join([*self.queue, *([self.text] if self.text else [])])
        self.text = ""
        self.queue.clear()
        return text

    def lines(self, columns: int) -> Sequence[Line]:
        """Lines to show below the answer; none while nothing was typed."""
        lines: list[Line] = []
        if len(self.queue) > _MOST_LISTED:
            lines.append(((DIM, f"  {len(self.queue) - _MOST_LISTED} more wait"),))
        for text in self.queue[-_MOST_LISTED:]:
            shown = next(iter(pieces(escaped(text), max(columns - 14, 8))), "")
            lines.append(((DIM, f"  next: {shown}{'…' if len(shown) < len(escaped(text)) else ''}"),))
        if self.text:
            lines.append(((PLAIN, f"› {_last(escaped(self.text), max(columns - 4, 8))}"),))
        elif self.queue:
            lines.append(((DIM, "  Backspace takes the last one back"),))
        return lines

    def _send(self) -> Wish | None:
        text, self.text = self.text, ""
        if not text.strip():
            return None
        self.queue.append(text)
        return Wish("queue", text)

    def _steer(self) -> Wish | None:
        text, self.text = self.text, ""
        return Wish("steer", text) if text.strip() else None


def _last(text: str, columns: int) -> str:
    """The end of the text, as much as fits."""
    shown = text[-columns:]
    while width(shown) > columns:
        shown = shown[1:]
    return shown
