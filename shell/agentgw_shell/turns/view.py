"""A turn's notifications on the screen: the answer as Markdown, the rest as notes and one passing line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentgw.cli.output import one_line
from agentgw.cli.terminal.progress import words_of
from agentgw_shell.rendering.answer import AnswerView
from agentgw_shell.rendering.spans import DIM, Line
from agentgw_shell.turns.notes import call_note, note, source_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentgw.transport.connection import Notification
    from agentgw_shell.screen_access import Size

# A turn that answers once more, for words that were added, begins a paragraph with this piece.
_PARAGRAPH: Final = "\n\n"


class TurnView:
    """Shows one turn; `size` gives columns and rows, `write` shows characters."""

    def __init__(self, write: Callable[[str], None], size: Callable[[], Size], *, synchronized: bool = True) -> None:
        self._size_of = size
        self._size = size()
        self._answer = AnswerView(write, *self._size, synchronized=synchronized)
        self._status = ""
        self._typed: Sequence[Line] = ()
        # Texts that the user added, until the model turns to them.
        self._steered: list[str] = []
        self.turn_id = ""
        self.session_id = ""
        #: Something of the answer is on the screen.
        self.begun = False

    @property
    def columns(self) -> int:
        """Columns that a line may take."""
        return max(self._size[0] - 1, 8)

    def show(self, notification: Notification) -> None:
        """Show one notification of the turn."""
        params = notification.params
        self.turn_id = self.turn_id or str(params.get("turn_id", ""))
        self.session_id = str(params.get("session_id", self.session_id))
        match notification.method:
            case "turn.delta" if params.get("channel", "answer") == "answer":
                self.begun = True
                self._passing("")
                text = str(params.get("text", ""))
                if text == _PARAGRAPH:
                    self._note_steered()
                self._answer.feed(text)
            case "turn.delta":
                self._passing("thinking")
            case "turn.progress":
                position = params.get("position")
                self._passing(
                    words_of(str(params.get("phase")), _whole(params, "done"), _whole(params, "total"), position)
                )
            case "turn.tool_call" | "turn.tool_result":
                self._note_steered()
                self._note(call_note(params, self.columns))
            case "turn.notice":
                self._note(note(str(params.get("text", "")), self.columns))
            case "turn.steered":
                self._steered.append(str(params.get("text", "")))
                self._set_below()

    def set_typed(self, lines: Sequence[Line]) -> None:
        """Lines of what is being typed, below all else."""
        self._typed = lines
        self._set_below()

    def due_s(self, now_s: float) -> float | None:
        """Seconds until there is something to draw; None when there is nothing."""
        return self._answer.due_s(now_s)

    def frame(self, now_s: float) -> None:
        """Draw what is due."""
        self._fit()
        self._answer.frame(now_s)

    def remark(self, text: str) -> None:
        """Write a line of ours, which stays."""
        self._note(note(text, self.columns))

    def make_room(self) -> None:
        """Write all that is due and leave the cursor on a line of its own, because somebody else writes."""
        self._fit()
        self._status, self._typed = "", ()
        self._set_below()
        self._answer.note([])

    def finish(self, sources: Sequence[Mapping[str, Any]] = ()) -> None:
        """Draw the end of the turn."""
        self._note_steered()
        self.make_room()
        self._answer.finish()
        if sources:
            self._answer.note(source_notes(sources, self.columns))

    def _fit(self) -> None:
        """Take the terminal's present size."""
        if (size := self._size_of()) != self._size:
            self._size = size
            self._answer.resize(*size)

    def _passing(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self._set_below()

    def _note_steered(self) -> None:
        """Words that the user added stand where the model turns to them, not in the middle of its sentence."""
        texts, self._steered = self._steered, []
        for text in texts:
            self._note(note(f"› {text}", self.columns))

    def _note(self, lines: Sequence[Line]) -> None:
        if lines:
            self._fit()
            self._status = ""
            self._set_below()
            self._answer.note(lines)

    def _set_below(self) -> None:
        status: Sequence[Line] = [((DIM, one_line(self._status)[: self.columns]),)] if self._status else []
        steered = [line for text in self._steered for line in note(f"› {text}", self.columns)[:1]]
        self._answer.set_below([*status, *steered, *self._typed])


def _whole(params: Mapping[str, Any], name: str) -> int:
    value = params.get(name, 0)
    return value if isinstance(value, int) else 0
