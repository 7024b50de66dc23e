"""The first page: what it lists, what its search finds, and what its box begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agentgw.protocol.calls.sessions import SearchResult, SessionList
from agentgw.protocol.calls.skills import RouteResult, SkillList
from agentgw.protocol.calls.turns import TurnList, TurnResult, TurnStartParams
from agentgw.protocol.events import TurnStarted
from agentgw.protocol.types import SearchHit, Session, Skill, SkillMatch, Turn
from agentgw_daemon.gateway.pages.rendering.marking import marked
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import WHEN, Visitor, text_of

pytestmark = pytest.mark.anyio

EVIL = "\"'><img src=http://evil.example/b.png onerror=alert(1)>"
SESSION = Session(session_id="s-1", title=EVIL, skill=EVIL, created_at=WHEN, updated_at=WHEN, turns=1)
SKILLS = (
    Skill(name=EVIL, description=EVIL, tier="user", path="/x"),
    Skill(name="broken", description="", tier="user", path="/x", error=EVIL, remedy=EVIL),
)
HIT = SearchHit(
    session_id="s-1", turn_id="t", title=EVIL, role="user", snippet=f"{EVIL} «found» {EVIL}", created_at=WHEN
)
TURN = Turn(turn_id="t", session_id="s-2", skill=EVIL, model=EVIL, state="running", created_at=WHEN)


def handlers(started: list[TurnStartParams], *, empty: bool = False) -> Mapping[str, Handler]:
    async def start(request: Any, params: TurnStartParams) -> TurnResult:
        started.append(params)
        await request.events.show("t-9", "s-new", 1, (TurnStarted(skill="k", model="m"),))
        return TurnResult(turn_id="t-9", session_id="s-new")

    return {
        "skill.list": lambda request, params: SkillList(skills=() if empty else SKILLS),
        "turn.list": lambda request, params: TurnList(turns=() if empty else (TURN,)),
        "session.list": lambda request, params: SessionList(sessions=() if empty else (SESSION,), next="n"),
        "session.search": lambda request, params: SearchResult(messages=() if empty else (HIT,)),
        "skill.route": lambda request, params: RouteResult(skills=(SkillMatch(name="best", score=1.0, reason="x"),)),
        "turn.start": start,
    }


async def test_names_and_titles_of_strangers_are_text() -> None:
    async with opened(handlers([])) as made:
        visitor = Visitor(made)
        for target in ("/", "/?q=found", "/?q=%22%3E%3Cimg%20src=x%3E", "/sessions?q=found"):
            reply = await visitor.get(target, **({"HX_Request": "true"} if "sessions" in target else {}))
            assert reply.status == 200
            assert b"<img" not in reply.body, target
            assert EVIL in text_of(reply), target


async def test_what_is_found_is_marked() -> None:
    async with opened(handlers([])) as made:
        reply = await Visitor(made).get("/sessions?q=found", HX_Request="true")
    assert b"<mark>found</mark>" in reply.body
    assert b"<html" not in reply.body


async def test_an_empty_page_says_what_to_do_next() -> None:
    async with opened(handlers([], empty=True)) as made:
        visitor = Visitor(made)
        words = text_of(await visitor.get("/"))
        assert "agentgw run" in words
        assert "agentgw skills" in words
        assert "Fewer words find more" in text_of(await visitor.get("/?q=nothing"))


async def test_the_box_begins_a_session_with_the_skill_that_fits_best_or_that_was_named() -> None:
    started: list[TurnStartParams] = []
    async with opened(handlers(started)) as made:
        visitor = Visitor(made)
        reply = await visitor.post("/ask", {"message": "Sum this up"})
        await visitor.post("/ask", {"message": "Sum this up", "skill": "mine"})
    assert reply.headers["location"] == "/session/s-new"
    assert [(one.message, one.skill) for one in started] == [("Sum this up", "best"), ("Sum this up", "mine")]


async def test_a_search_without_scripts_has_an_address_of_the_page() -> None:
    async with opened(handlers([])) as made:
        reply = await Visitor(made).get("/sessions?q=a%26b")
    assert (reply.status, reply.headers["location"]) == (303, "/?q=a%26b")


@pytest.mark.parametrize("query", ["q=%ff", "q=x&" * 50])
async def test_an_address_that_cannot_be_read_is_a_page_that_says_so(query: str) -> None:
    async with opened(handlers([])) as made:
        reply = await Visitor(made).get(f"/?{query}")
    assert (reply.status, b"<!doctype html>" in reply.body) == (400, True)


@pytest.mark.parametrize(
    ("snippet", "html"),
    [
        ("a «b» c", "a <mark>b</mark> c"),
        ("«a»«b»", "<mark>a</mark><mark>b</mark>"),
        ("«<b>»<i>", "<mark>&lt;b&gt;</mark>&lt;i&gt;"),
        ("« open", "« open"),
        ("", ""),
    ],
)
def test_matches_stand_between_marks(snippet: str, html: str) -> None:
    assert str(marked(snippet)) == html
