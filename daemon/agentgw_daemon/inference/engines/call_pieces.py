"""The calls of one answer, put together from the pieces in which endpoints stream them. Pure.

A call has an index, an id, both or neither; what belongs together is decided by all that there is, because two calls
taken for one are another call than the model made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from agentgw_daemon.inference.engines.chunks import CallPiece, NotUnderstood
from agentgw_daemon.text.valid import valid_text
from agentgw_daemon.tool_calling.answers.events import MAX_SHOWN_CHARACTERS, Malformed, ModelToolCall
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF

MAX_CALLS: Final = 128


class _Call:
    """One call in the making."""

    def __init__(self, piece: CallPiece) -> None:
        self.index: Final = piece.index
        self.key = piece.key
        self.name = piece.name
        self.texts: list[str] = []
        # Looked at once whether it is complete, and it was not: looking again for each piece would be quadratic.
        self._open = False

    @property
    def arguments(self) -> str:
        return "".join(self.texts)

    def add(self, piece: CallPiece) -> None:
        if self._is_named_on_by(piece):
            self.name = piece.name if piece.name.startswith(self.name) else self.name + piece.name
        self.key = self.key or piece.key
        self.name = self.name or piece.name
        if piece.arguments and not (piece.whole and piece.arguments == self.arguments):
            self.texts.append(piece.arguments)

    def _is_named_on_by(self, piece: CallPiece) -> bool:
        """Tells whether the piece has more of the name: the rest of it, or all that there is by then.

        Another call would have an id of its own where this one has one.
        """
        if not (self.key and piece.name and piece.name != self.name) or self.texts or self.index != piece.index:
            return False
        return self.index is not None and (not piece.key or piece.name.startswith(self.name))

    def is_followed_by(self, piece: CallPiece) -> bool:
        """Tells whether a named piece, which no other id tells apart, begins another call."""
        if not self.name or self._is_named_on_by(piece):
            return False
        if piece.name != self.name:
            return True
        # Some endpoints say the name again with each piece.
        if self._open or not self.texts or not piece.arguments.lstrip().startswith("{"):
            return False
        if piece.whole and piece.arguments == self.arguments:
            return False
        complete = self.texts[-1].rstrip().endswith("}") and isinstance(_value(self.arguments), dict)
        self._open = not complete
        return complete


class CallPieces:
    """Takes the pieces of each chunk in their order; `complete` gives the calls."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        # Calls that a chunk with several began, by their places in it.
        self._placed: dict[int, _Call] = {}

    def add(self, pieces: Iterable[CallPiece]) -> None:
        """A chunk's pieces. Raises NotUnderstood for more calls than an answer may have."""
        spoken_of: list[_Call] = []
        for piece in pieces:
            call = self._known(piece)
            if call is None or (piece.name and call in spoken_of):
                if len(self._calls) == MAX_CALLS:
                    raise NotUnderstood(f"more than {MAX_CALLS} calls")
                call = _Call(piece)
                self._calls.append(call)
            if piece.index is None:
                self._placed[piece.place] = call
            call.add(piece)
            spoken_of.append(call)

    def complete(self, *, cut: bool) -> tuple[ModelToolCall | Malformed, ...]:
        """The calls, when the answer has ended. `cut`: at a limit, perhaps within the last one."""
        last = len(self._calls) - 1
        return tuple(_ended(call, cut=cut, last=at == last) for at, call in enumerate(self._calls))

    def _known(self, piece: CallPiece) -> _Call | None:
        """The call that the piece goes on with; None where it begins one."""
        same = [call for call in self._calls if piece.index is None or call.index == piece.index]
        if not same:
            return None
        if piece.key:
            for call in reversed(same):
                # Some endpoints give all their calls the same id.
                if call.key == piece.key and not (piece.name and call.is_followed_by(piece)):
                    return call
            # An id that is new with each piece names nothing; a call that begins has a name.
            return None if piece.name and (same[-1].key or same[-1].is_followed_by(piece)) else same[-1]
        if piece.name:
            return None if same[-1].is_followed_by(piece) else same[-1]
        if piece.index is None:
            return self._placed.get(piece.place, same[-1])
        return same[-1]


def _ended(call: _Call, *, cut: bool, last: bool) -> ModelToolCall | Malformed:
    text = call.arguments
    value = _value(text)
    if cut and value is None and (last or text.strip()):
        return Malformed(text=valid_text(f"{call.name} {text}"[:MAX_SHOWN_CHARACTERS]), reason=CUT_OFF)
    if isinstance(value, str):
        # Written as JSON twice.
        text = value
    return ModelToolCall(name=call.name, arguments=text if text.strip() else "{}")


def _value(text: str) -> Any:
    """The JSON value, None where there is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
