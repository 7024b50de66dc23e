"""One turn as a page shows it: from its events to pieces of HTML and where they belong. Does no I/O.

The same events give the same pieces, whether they come one by one while the turn runs or all at once afterwards; so a
page that is loaded again looks as before, and nothing moves when an answer has come to its end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, assert_never

from agentgw.protocol import events as ev
from agentgw.protocol.records.schema import record
from agentgw.protocol.visible import escaped
from agentgw_daemon.gateway.pages.chat.blocks import MarkdownBlocks
from agentgw_daemon.gateway.pages.chat.markdown import Env, html_of
from agentgw_daemon.gateway.pages.rendering.templates import rendered

if TYPE_CHECKING:
    from collections.abc import Iterable

# The open block is rendered again when this much more of it is there; until then the words are added as they are.
_FRESH_CHARS: Final = 48
_FRESH_SHARE: Final = 8
# Of a tool's result and of its arguments. What is longer is in `agentgw turns show`.
_MOST_SHOWN_CHARS: Final = 20_000
_PHASES: Final = {
    "queued": "Waits for its turn", "loading": "The model is loaded", "prefill": "The prompt is read",
    "delegated": "Another skill works on it",
}  # fmt: skip


@record
class Put:
    """HTML for a place of the turn: instead of what is in it, or behind that. A place is the end of an element's id."""

    place: str
    html: str
    behind: bool = False


@record
class Say:
    """More text for the end of a place, as it is."""

    place: str
    text: str


PageChange = Put | Say
ITEMS: Final = "items"
OPEN: Final = "open"
STATE: Final = "state"
FOOT: Final = "foot"


class Item:
    """One thing in a turn, as a template and what it is given, which may come later."""

    def __init__(self, template: str, **values: Any) -> None:
        self._template = template
        self.values = values

    def html(self) -> str:
        """The item's HTML, with its present values."""
        return rendered(self._template, **self.values)


class PageTurn:
    """One turn. `shown`: how many items its reader has already, who goes on from there."""

    def __init__(self, turn_id: str, *, shown: int = 0) -> None:
        self.turn_id = turn_id
        self.items: list[Item] = []
        # The words of the answer, for who does not look at the page.
        self.words = ""
        self._shown = shown
        self._blocks = MarkdownBlocks()
        self._env: Env = {}
        # Length of the open block when it was last rendered; below zero where its place is empty.
        self._rendered_chars = -1
        self._unsaid = ""
        self._reasoning: Item | None = None
        self._calls: dict[str, Item] = {}
        self._approvals: dict[str, Item] = {}
        self._changes: list[PageChange] = []

    def feed(self, events: Iterable[ev.TurnEvent]) -> list[PageChange]:
        """The changes that these events make, in order."""
        for event in events:
            self._take(event)
        self._show_open()
        return self._taken()

    def reopened(self) -> list[PageChange]:
        """The open block from its beginning, for a reader who may have seen less of it."""
        self._rendered_chars = -1
        self._changes.append(Put(place=OPEN, html=""))
        self._show_open()
        return self._taken()

    def ended(self, foot: str) -> list[PageChange]:
        """The changes at the turn's end, with `foot` below the answer. Approvals that wait are closed."""
        self._finish_text()
        for approval in self._approvals.values():
            self._close(approval, "Nobody answered")
        self._approvals.clear()
        self._changes += [Put(place=STATE, html=""), Put(place=FOOT, html=foot)]
        return self._taken()

    def _taken(self) -> list[PageChange]:
        changes, self._changes = self._changes, []
        return changes

    def _take(self, event: ev.TurnEvent) -> None:
        if not isinstance(event, ev.TurnDelta | ev.TurnProgress):
            self._finish_text()
        match event:
            case ev.TurnDelta():
                self._add_text(event)
            case ev.TurnStarted():
                self._say_state(f"{event.model} answers")
            case ev.TurnProgress():
                self._say_state(_progress(event))
            case ev.TurnToolCall():
                arguments = shown_json(event.arguments)
                self._calls[event.call_id] = self._add("tool_call.html", call=event, arguments=arguments, result=None)
            case ev.TurnToolResult():
                self._take_result(event)
            case ev.TurnApproval():
                arguments = shown_json(event.arguments)
                item = self._add("approval_item.html", approval=event, arguments=arguments, answer="")
                self._approvals[event.call_id] = item
                self._say_state("It waits for your answer")
            case ev.TurnSources():
                self._add("sources.html", chunks=event.chunks)
            case ev.TurnNotice():
                self._add("notice.html", text=event.text)
            case ev.TurnSteered():
                self._add("steered.html", text=event.text)
            case ev.TurnCompleted():
                self._say_state("")
            case _:
                assert_never(event)

    def _add_text(self, event: ev.TurnDelta) -> None:
        if event.channel == "reasoning":
            if self._reasoning is None:
                self._finish_text()
                self._reasoning = self._add("reasoning.html", text="")
            self._reasoning.values["text"] += event.text
            self._changes.append(Say(place=f"reasoning-{self._reasoning.values['number']}", text=event.text))
            return
        self._reasoning = None
        self.words += event.text
        self._unsaid += event.text
        for finished in self._blocks.add(event.text):
            self._finish(finished)

    def _finish_text(self) -> None:
        self._reasoning = None
        rest = self._blocks.end()
        if rest.strip():
            self._finish(rest)

    def _finish(self, text: str) -> None:
        """Make an item of the open block's text; the rest begins a new open block."""
        self._add("text.html", html=html_of(text, self._env))
        if self._rendered_chars >= 0:
            self._changes.append(Put(place=OPEN, html=""))
        self._rendered_chars = -1
        self._unsaid = ""

    def _show_open(self) -> None:
        text = self._blocks.open
        if not text.strip():
            return
        fresh = len(text) - self._rendered_chars
        if self._rendered_chars < 0 or fresh >= max(_FRESH_CHARS, self._rendered_chars // _FRESH_SHARE):
            self._changes.append(Put(place=OPEN, html=html_of(text, self._env, open_end=True)))
            self._rendered_chars = len(text)
        elif self._unsaid:
            self._changes.append(Say(place=OPEN, text=self._unsaid))
        self._unsaid = ""

    def _take_result(self, event: ev.TurnToolResult) -> None:
        approval = self._approvals.pop(event.call_id, None)
        if approval is not None:
            self._close(approval, "You said no" if event.denied else "Allowed")
        call = self._calls.get(event.call_id)
        if call is None:
            return
        call.values["result"] = event
        call.values["content"] = event.content[:_MOST_SHOWN_CHARS]
        call.values["cut_chars"] = max(0, len(event.content) - _MOST_SHOWN_CHARS)
        self._changes.append(
            Put(place=f"result-{call.values['number']}", html=rendered("tool_result.html", **call.values))
        )
        self._changes.append(Put(place=f"call-{call.values['number']}", html=rendered("tool_word.html", result=event)))

    def _close(self, approval: Item, answer: str) -> None:
        approval.values["answer"] = answer
        place = f"approval-{approval.values['number']}"
        self._changes.append(Put(place=place, html=rendered("approval_card.html", **approval.values)))

    def _say_state(self, words: str) -> None:
        self._changes.append(Put(place=STATE, html=rendered("state.html", words=words) if words else ""))

    def _add(self, template: str, **values: Any) -> Item:
        item = Item(template, turn_id=self.turn_id, number=len(self.items) + 1, **values)
        self.items.append(item)
        if len(self.items) > self._shown:
            self._changes.append(Put(place=ITEMS, html=item.html(), behind=True))
        return item


def shown_json(value: Any) -> str:
    """Arguments of a call for a person, who decides by them: nothing in them is unseen."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if len(text) > _MOST_SHOWN_CHARS:
        text = f"{text[:_MOST_SHOWN_CHARS]}\n… and {len(text) - _MOST_SHOWN_CHARS} more characters"
    return "\n".join(escaped(line) for line in text.split("\n"))


def _progress(event: ev.TurnProgress) -> str:
    words = _PHASES[event.phase]
    if event.position is not None:
        return f"{words}: place {event.position} in the queue"
    if event.total:
        return f"{words}: {100 * event.done // event.total} %"
    return words
