"""A turn as a page is told of it: the same whichever way, gone on with after any message, and not longer than it is."""

from __future__ import annotations

import html
import json
import re

import pytest

from agentgw.protocol.events import (
    TurnApproval,
    TurnCompleted,
    TurnDelta,
    TurnEvent,
    TurnNotice,
    TurnProgress,
    TurnSources,
    TurnStarted,
    TurnSteered,
    TurnToolCall,
    TurnToolResult,
)
from agentgw.protocol.records.schema import dump
from agentgw.protocol.types import Chunk
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.gateway.pages.chat.live import LivePage, WholeTurn, event_of, seen_of
from tests.gateway.pages.harness import RESULT

EVIL = '</pre><script>alert(1)</script>"\'\r\n\n<hx-partial hx-target="#main">'
CHUNK = Chunk(document_id="d", source=EVIL, text=EVIL, score=1.0, title_path=EVIL, lines=(1, 2))
EVENTS: tuple[TurnEvent, ...] = (
    TurnStarted(skill="k", model=EVIL),
    TurnProgress(phase="prefill", done=1, total=2),
    TurnNotice(code="c", text=EVIL),
    TurnSources(chunks=(CHUNK,)),
    TurnDelta(text="I think", channel="reasoning"),
    TurnDelta(text=EVIL, channel="reasoning"),
    TurnDelta(text="# Head\n\nSome "),
    TurnDelta(text="words.\n"),
    TurnDelta(text="\nMore"),
    TurnToolCall(call_id="c1", tool=EVIL, arguments={EVIL: EVIL}),
    TurnApproval(
        approval_id="a-1", call_id="c1", tool=EVIL, arguments={"x": EVIL}, cwd=EVIL, expires_at="soon", title=EVIL,
        details=(EVIL,), diff=f"-{EVIL}\n+b",
    ),
    TurnToolResult(call_id="c1", ok=True, content=EVIL),
    TurnSteered(text=EVIL),
    TurnDelta(text="The end"),
    TurnDelta(text=" of it."),
    TurnCompleted(finish_reason="stop"),
)  # fmt: skip


class Page:
    """A page that does what it is told: places with their HTML, by the end of their ids."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.open = ""
        self.last_id = ""
        self.ended = False

    def read(self, said: bytes) -> None:
        for message in said.decode().split("\n\n")[:-1]:
            lines = [line.partition(": ")[::2] for line in message.split("\n")]
            fields = dict(lines)
            data = "\n".join(text for name, text in lines if name == "data")
            self._do(fields.get("event", ""), data)
            self.last_id = fields.get("id", self.last_id)

    def _do(self, event: str, data: str) -> None:
        if event == "say":
            said = json.loads(data)
            if said["place"] == "t-1-open":
                self.open = self.open.replace('<span class="tip">', html.escape(said["text"]) + '<span class="tip">')
        elif event == "end":
            self.ended = True
        for place, how, inner in re.findall(
            r'<hx-partial hx-target="#t-1-([\w-]+)" hx-swap="(\w+)">(.*?)</hx-partial>', data, re.DOTALL
        ):
            if place == "items":
                assert how == "beforeend"
                self.items.append(inner)
            elif place == "open":
                self.open = inner


def told(events: tuple[TurnEvent, ...], step: int) -> list[bytes]:
    live = LivePage("t-1")
    made = [live.turn_events("t-1", "s-1", at + 1, events[at : at + step]) for at in range(0, len(events), step)]
    return [*made, live.result(RESULT)]


@pytest.mark.parametrize("step", [1, 2, 3, len(EVENTS)])
def test_a_page_comes_to_show_the_same_however_the_events_come(step: int) -> None:
    page = Page()
    for said in told(EVENTS, step):
        page.read(said)
    assert page.ended
    assert page.open == ""
    texts = [re.sub(r"<[^>]*>", " ", item) for item in page.items if 'class="md"' in item]
    assert " ".join(texts).split() == ["Head", "Some", "words.", "More", "The", "end", "of", "it."]
    assert [item.count('class="fold') for item in page.items].count(1) == 3


@pytest.mark.parametrize("cut", range(1, len(EVENTS)))
def test_a_page_that_was_cut_off_goes_on_where_it_was(cut: int) -> None:
    whole, page = Page(), Page()
    for said in told(EVENTS, 1):
        whole.read(said)
    for said in told(EVENTS, 1)[:cut]:
        page.read(said)
    again = LivePage("t-1", seen=seen_of(page.last_id))
    page.read(again.turn_events("t-1", "s-1", 1, EVENTS))
    page.read(again.result(RESULT))
    assert page.ended
    assert (page.items, page.open) == (whole.items, whole.open)


def test_a_stored_turn_is_told_like_one_that_runs() -> None:
    live, stored = LivePage("t-1"), LivePage("t-1")
    rows = [StoredEvent(at, event.method, dump(event)) for at, event in enumerate(EVENTS, 1)]
    assert stored.stored_events("t-1", "s-1", rows) == live.turn_events("t-1", "s-1", 1, EVENTS)


@pytest.mark.anyio
async def test_nothing_of_a_strangers_words_is_html_of_ours() -> None:
    said = b"".join(told(EVENTS, 1)).decode()
    # What is put behind the end of a place as text is none.
    said = re.sub(r"event: say\n.*\n", "", said)
    assert "<script" not in said
    assert said.count("<hx-partial") == said.count("</hx-partial>")
    assert set(re.findall(r'<hx-partial hx-target="([^"]*?)[\w-]*"', said)) == {"#"}
    assert "\r" not in said
    whole = WholeTurn("t-1")
    await whole.show("t-1", "s-1", 1, EVENTS)
    assert "<script" not in whole.html()
    assert "<hx-partial" not in whole.html()


def test_words_that_could_end_a_message_are_within_it() -> None:
    said = LivePage("t-1").turn_events("t-1", "s-1", 1, (TurnNotice(code="c", text="a\n\nevent: end\ndata: x\n\nb"),))
    for line in said.decode().rstrip("\n").split("\n"):
        assert line.startswith(("data: ", "id: ")), line


@pytest.mark.parametrize("text", ["word ", "- an item of a list with some words\n", "x = 1\n"])
def test_a_word_late_in_an_answer_is_sent_in_as_few_bytes_as_an_early_one(text: str) -> None:
    live = LivePage("t-1")
    opening = "```python\n" if "=" in text else "Begin "
    live.turn_events("t-1", "s-1", 1, (TurnDelta(text=opening),))
    sent = [len(live.turn_events("t-1", "s-1", at + 2, (TurnDelta(text=text),))) for at in range(600)]
    assert sum(sent[-200:]) < 3 * sum(sent[:200])
    assert sum(sent) < 600 * 900


@pytest.mark.parametrize("text", ["", "x", "-", "1", "1-", "-1", "1-x", "9" * 40, "1-1-1", "é-1"])
def test_an_id_that_is_none_of_ours_is_the_beginning(text: str) -> None:
    assert seen_of(text) == (0, 0)


def test_an_event_that_went_bad_is_a_notice() -> None:
    for method, params in (("turn.delta", {}), ("turn.nix", {}), ("turn.sources", {"chunks": 3})):
        assert isinstance(event_of(method, params), TurnNotice)
