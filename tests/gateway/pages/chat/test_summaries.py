"""Summaries of earlier turns on a session's page: what is asked for, and what stands in the answer."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.calls.sessions import SessionCompacted, SessionCompactParams, SessionExpanded, SessionIdParams
from agentgw.protocol.errors import NotFound, SessionBusy
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import Visitor, text_of

pytestmark = pytest.mark.anyio

EVIL = "**Notes** <script>alert(1)</script>"


class Summing:
    """A session whose summary is `made`, or that fails with `error`."""

    def __init__(self, made: SessionCompacted | None = None, *, left: int = 0, error: Exception | None = None) -> None:
        self.asked: list[Any] = []
        self._made = made
        self._left = left
        self._error = error

    def handlers(self) -> dict[str, Handler]:
        return {"session.compact": self._compact, "session.expand": self._expand}

    def _compact(self, request: Any, params: SessionCompactParams) -> SessionCompacted:
        self.asked.append(params)
        if self._error is not None:
            raise self._error
        assert self._made is not None
        return self._made

    def _expand(self, request: Any, params: SessionIdParams) -> SessionExpanded:
        self.asked.append(params)
        if self._error is not None:
            raise self._error
        return SessionExpanded(session_id=params.session_id, turns=self._left)


def summed_up(turns: int, after: int) -> SessionCompacted:
    return SessionCompacted(session_id="s-1", turns=turns, summary=EVIL, tokens_before=1560, tokens_after=after)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (summed_up(5, 37), "The model is shown the 5 oldest turns like this: 37 tokens for 1,560."),
        (summed_up(1, 37), "The model is shown the oldest turn like this: 37 tokens for 1,560."),
        (summed_up(0, 1560), "Its summary was not shorter than the turns, which stay as they are."),
    ],
)
async def test_a_summary_is_shown_with_what_it_saves(made: SessionCompacted, words: str) -> None:
    summing = Summing(made)
    async with opened(summing.handlers()) as site:
        visitor = Visitor(site)
        piece = await visitor.post("/session/s-1/compact", {}, HX_Request="true")
        whole = await visitor.post("/session/s-1/compact", {})
    assert summing.asked == [SessionCompactParams(session_id="s-1")] * 2
    assert words in text_of(piece)
    assert piece.body.startswith(b"<p")
    # Without scripts it is a page that leads back.
    assert words in text_of(whole)
    assert b'href="/session/s-1"' in whole.body
    for reply in (piece, whole):
        assert b"<script>alert" not in reply.body
        assert (b"<strong>Notes</strong>" in reply.body) is (made.turns > 0)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (0, "The model is shown all turns whole again."),
        (1, "The model is shown the oldest turn as the summary before again."),
        (3, "The model is shown the 3 oldest turns as the summary before again."),
    ],
)
async def test_a_summary_is_taken_back(left: int, words: str) -> None:
    summing = Summing(left=left)
    async with opened(summing.handlers()) as site:
        reply = await Visitor(site).post("/session/s-1/expand", {}, HX_Request="true")
    assert summing.asked == [SessionIdParams(session_id="s-1")]
    assert text_of(reply).strip() == words


@pytest.mark.parametrize(
    ("error", "status"), [(NotFound("all turns are shown whole"), 404), (SessionBusy("a turn runs"), 409)]
)
@pytest.mark.parametrize("what", ["compact", "expand"])
async def test_what_cannot_be_done_is_a_line_in_the_page(what: str, error: Exception, status: int) -> None:
    async with opened(Summing(error=error).handlers()) as site:
        reply = await Visitor(site).post(f"/session/s-1/{what}", {}, HX_Request="true")
    assert (reply.status, reply.headers["hx-retarget"]) == (status, "#problem")
