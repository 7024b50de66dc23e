"""Sessions as pages: what each route asks the daemon for, and what stands in what it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from agentgw.protocol.calls.feedback import FeedbackAddParams
from agentgw.protocol.calls.models import ModelList
from agentgw.protocol.calls.sessions import ForkParams
from agentgw.protocol.calls.shared import Done
from agentgw.protocol.calls.skills import SkillDetail
from agentgw.protocol.calls.turns import (
    TurnDetail,
    TurnList,
    TurnListParams,
    TurnResult,
    TurnStartParams,
    TurnSteerParams,
)
from agentgw.protocol.errors import ModelUnavailable, NotFound, SessionBusy
from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnEvent, TurnStarted
from agentgw.protocol.types import Model, Options, Session, Skill, Timings, Turn, Usage
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import WHEN, Visitor, text_of

pytestmark = pytest.mark.anyio

EVIL = '"><script>alert(1)</script>'
EVENTS: tuple[TurnEvent, ...] = (
    TurnStarted(skill="k", model="m"), TurnDelta(text="Hello **you**"), TurnCompleted(finish_reason="stop"),
)  # fmt: skip


class Daemon:
    """One session with turns t-1 … t-3, of which the last may run."""

    def __init__(self, *, runs: bool = False, error: Exception | None = None, said: str = "") -> None:
        """`said` is what each turn answers, in the place of some events of all kinds."""
        self.asked: list[tuple[str, Any]] = []
        self._events = (TurnDelta(text=said),) if said else EVENTS
        self._runs = runs
        self._error = error

    def handlers(self) -> Mapping[str, Handler]:
        plain = {
            "session.get": lambda p: Session(
                session_id=p.session_id, title=EVIL, skill=EVIL, created_at=WHEN, updated_at=WHEN, cwd="/w"
            ),
            "turn.list": self._list,
            "turn.show": lambda p: self._detail(p.turn_id),
            "feedback.add": lambda p: Done(),
            "turn.cancel": self._fail_or_done,
            "turn.steer": lambda p: Done(),
            "session.fork": lambda p: Session(
                session_id="s-fork", title="x", skill="k", created_at=WHEN, updated_at=WHEN
            ),
            "skill.get": lambda p: SkillDetail(
                skill=Skill(name=EVIL, description=EVIL, tier="user", path="/x"), instructions=""
            ),
            "model.list": lambda p: ModelList(
                models=(
                    Model(name="says", state="available", source="file"),
                    Model(name="finds", state="available", source="index", embedder=True),
                    Model(name="absent", state="not_pulled", source="index"),
                )
            ),
        }
        made: dict[str, Handler] = {name: self._noting(name, make) for name, make in plain.items()}
        return made | {"turn.start": self._start, "turn.attach": self._attach}

    def of(self, method: str) -> list[Any]:
        """Parameters of the calls of this method."""
        return [params for name, params in self.asked if name == method]

    def _noting(self, name: str, make: Any) -> Handler:
        def handler(request: Any, params: Any) -> Any:
            self.asked.append((name, params))
            return make(params)

        return handler

    def _turn(self, number: int) -> Turn:
        state = "running" if self._runs and number == 3 else "completed"
        return Turn(
            turn_id=f"t-{number}", session_id="s-1", skill="k", model="m", state=state, created_at=WHEN,  # type: ignore[arg-type]  # one of the states
        )  # fmt: skip

    def _list(self, params: TurnListParams) -> TurnList:
        turns = tuple(self._turn(number) for number in (3, 2, 1))[: params.limit]
        cursor = f"before-{turns[-1].turn_id}" if len(turns) < 3 else None
        shown = tuple(turn for turn in turns if not params.running or turn.state == "running")
        return TurnList(turns=shown, next=cursor)

    def _detail(self, turn_id: str) -> TurnDetail:
        return TurnDetail(
            turn=self._turn(int(turn_id[2:])), message=f"Say {EVIL}", text="", system="", options=Options(),
            usage=Usage(), timings=Timings(), rating={1: 1, 2: -1}.get(int(turn_id[2:])),  # type: ignore[arg-type]  # 1 or -1
        )  # fmt: skip

    def _fail_or_done(self, params: Any) -> Done:
        if self._error is not None:
            raise self._error
        return Done()

    async def _start(self, request: Any, params: TurnStartParams) -> TurnResult:
        self.asked.append(("turn.start", params))
        if self._error is not None:
            raise self._error
        await request.events.show("t-9", "s-new", 1, EVENTS)
        return TurnResult(turn_id="t-9", session_id="s-new")

    async def _attach(self, request: Any, params: Any) -> TurnResult:
        await request.events.show(params.turn_id, "s-1", 1, self._events)
        return TurnResult(turn_id=params.turn_id, session_id="s-1", finish_reason="stop")


async def test_a_session_shows_its_turns_and_where_the_running_one_is_told() -> None:
    async with opened(Daemon(runs=True).handlers()) as made:
        reply = await Visitor(made).get("/session/s-1")
    page = reply.body.decode()
    assert reply.status == 200
    assert page.index('id="t-1"') < page.index('id="t-2"') < page.index('id="t-3"')
    assert page.count("<p>Hello <strong>you</strong></p>") == 2
    assert page.count('hx-sse:connect="/turn/t-3/live"') == 1
    assert "news?after=t-3" in page
    assert "<script>alert" not in page
    # htmx begins as soon as it runs: whatever listens to it is there before.
    scripts = re.findall(r'<script src="[^"]*/([^"/]+)"', page)
    assert scripts == ["page.js", "chat.js", "htmx-with-sse.js"]


@pytest.mark.parametrize(("chars", "shown"), [(5_000, 3), (9_000, 2), (15_000, 1), (300_000, 1)])
async def test_a_page_of_long_turns_has_fewer_of_them_and_leads_to_the_others(chars: int, shown: int) -> None:
    async with opened(Daemon(said="w " * (chars // 2)).handlers()) as made:
        visitor = Visitor(made)
        page = (await visitor.get("/session/s-1")).body.decode()
        news = (await visitor.get("/session/s-1/news?after=t-0", HX_Request="true")).body.decode()
    assert re.findall(r'id="(t-\d)"', page) == ["t-1", "t-2", "t-3"][3 - shown :]
    oldest = f"t-{4 - shown}"
    assert re.findall(r"turns\?before=([^\"]+)", page) == ([] if shown == 3 else [f"before-{oldest}"])
    # What is new is shown whatever its length: nothing leads to it later.
    assert re.findall(r'id="(t-\d)"', news) == ["t-1", "t-2", "t-3"]


async def test_the_rules_for_the_browser_allow_our_scripts_alone() -> None:
    async with opened(Daemon().handlers()) as made:
        visitor = Visitor(made)
        replies = [await visitor.get("/session/s-1"), await visitor.get("/chat/k")]
    nonces = set()
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "img-src 'self' data:" in policy
        nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
        assert reply.body.decode().count("<script") == reply.body.decode().count(f'nonce="{nonce}" defer>')
        nonces.add(nonce)
        assert "<script>alert" not in reply.body.decode()
    assert len(nonces) == 2


async def test_news_are_the_turns_after_the_last_one_that_is_shown() -> None:
    async with opened(Daemon().handlers()) as made:
        visitor = Visitor(made)
        assert (await visitor.get("/session/s-1/news?after=t-3", HX_Request="true")).status == 204
        fresh = (await visitor.get("/session/s-1/news?after=t-2", HX_Request="true")).body.decode()
    assert 'id="t-3"' in fresh
    assert 'id="t-2"' not in fresh
    assert "news?after=t-3" in fresh


async def test_a_first_message_begins_a_session_and_leads_to_it() -> None:
    daemon = Daemon()
    async with opened(daemon.handlers()) as made:
        visitor = Visitor(made)
        plain = await visitor.post("/chat/writer", {"message": "Hi\r\nyou", "model": "m"})
        assert (plain.status, plain.headers["location"]) == (303, "/session/s-new")
        scripted = await visitor.post("/chat/writer", {"message": "Hi", "model": ""}, HX_Request="true")
        assert (scripted.status, scripted.headers["hx-redirect"]) == (204, "/session/s-new")
    assert daemon.of("turn.start") == [
        TurnStartParams(message="Hi\nyou", skill="writer", model="m"), TurnStartParams(message="Hi", skill="writer"),
    ]  # fmt: skip


async def test_a_turn_that_cannot_begin_is_a_sentence_where_it_was_asked_for() -> None:
    async with opened(Daemon(error=ModelUnavailable(f"no model {EVIL}", hint="pull one")).handlers()) as made:
        visitor = Visitor(made)
        line = await visitor.post("/chat/k", {"message": "Hi"}, HX_Request="true")
        assert (line.status, line.headers["hx-retarget"]) == (503, "#problem")
        assert "pull one" in text_of(line)
        assert b"<script" not in line.body
        page = await visitor.post("/chat/k", {"message": "Hi"})
        assert (page.status, b"<!doctype html>" in page.body) == (503, True)


@pytest.mark.parametrize("message", ["", "  ", "\n"])
async def test_nothing_is_no_message(message: str) -> None:
    daemon = Daemon()
    async with opened(daemon.handlers()) as made:
        visitor = Visitor(made)
        for path in ("/ask", "/chat/k", "/session/s-1"):
            assert (await visitor.post(path, {"message": message})).status == 400
    assert daemon.of("turn.start") == []


async def test_a_message_goes_on_with_the_session_or_is_added_to_what_runs() -> None:
    idle, busy = Daemon(), Daemon(runs=True)
    async with opened(idle.handlers()) as made:
        reply = await Visitor(made).post("/session/s-1", {"message": "More"}, HX_Request="true")
        assert (reply.status, reply.headers["hx-trigger"]) == (204, "look")
    async with opened(busy.handlers()) as made:
        await Visitor(made).post("/session/s-1", {"message": "More"})
    assert idle.of("turn.start") == [TurnStartParams(message="More", session_id="s-1")]
    assert busy.of("turn.start") == []
    assert busy.of("turn.steer") == [TurnSteerParams(turn_id="t-3", text="More")]


async def test_a_turn_is_asked_again_in_a_copy_that_ends_before_it() -> None:
    daemon = Daemon()
    async with opened(daemon.handlers()) as made:
        visitor = Visitor(made)
        await visitor.post("/turn/t-3/again", {})
        await visitor.post("/turn/t-1/again", {"message": "Otherwise"})
    assert daemon.of("session.fork") == [ForkParams(session_id="s-1", at="t-2")]
    assert daemon.of("turn.start") == [
        TurnStartParams(message=f"Say {EVIL}", session_id="s-fork"),
        TurnStartParams(message="Otherwise", skill="k", cwd="/w"),
    ]


async def test_a_fork_ends_with_the_turn() -> None:
    daemon = Daemon()
    async with opened(daemon.handlers()) as made:
        reply = await Visitor(made).post("/turn/t-2/fork", {})
    assert reply.headers["location"] == "/session/s-fork"
    assert daemon.of("session.fork") == [ForkParams(session_id="s-1", at="t-2")]


async def test_a_new_session_offers_what_is_here_and_answers() -> None:
    async with opened(Daemon().handlers()) as made:
        body = (await Visitor(made).get("/chat/k")).body.decode()
    assert re.findall(r'<option value="([^"]*)"', body) == ["", "says"]


async def test_every_form_of_a_session_that_has_ended_can_be_sent_without_a_script() -> None:
    async with opened(Daemon().handlers()) as made:
        visitor = Visitor(made)
        body = (await visitor.get("/session/s-1")).body.decode()
        forms = re.findall(r'<form[^>]* method="post"[^>]*>.*?</form>', body, re.DOTALL)
        # Of each of three turns: two ratings, again, fork and edit; of the session the message and two of summaries.
        assert len(forms) == 3 * 5 + 3
        for form in forms:
            assert f'name="form-token" value="{visitor.form_token}"' in form, form


async def test_each_answer_shows_how_it_was_rated_however_many_others_were() -> None:
    async with opened(Daemon().handlers()) as made:
        body = (await Visitor(made).get("/session/s-1")).body.decode()
    feet = body.split('class="foot')[1:]
    assert [re.findall(r'data-rating="(-?1)" aria-pressed="true"', foot) for foot in feet] == [["1"], ["-1"], []]


@pytest.mark.parametrize(("rating", "status"), [("1", 200), ("-1", 200), ("0", 400), ("x", 400), ("", 400)])
async def test_a_rating_is_one_of_two(rating: str, status: int) -> None:
    daemon = Daemon()
    async with opened(daemon.handlers()) as made:
        reply = await Visitor(made).post("/turn/t-1/rating", {"rating": rating}, HX_Request="true")
    assert reply.status == status
    given = [FeedbackAddParams(turn_id="t-1", rating=int(rating))] if status == 200 else []  # type: ignore[arg-type]  # 1 or -1
    assert daemon.of("feedback.add") == given


async def test_a_turn_that_has_ended_by_itself_was_stopped_just_as_well() -> None:
    async with opened(Daemon(error=NotFound("it has ended")).handlers()) as made:
        assert (await Visitor(made).post("/turn/t-1/stop", {}, HX_Request="true")).status == 204
    async with opened(Daemon(error=SessionBusy("no")).handlers()) as made:
        assert (await Visitor(made).post("/turn/t-1/stop", {}, HX_Request="true")).status == 409


async def test_a_page_that_was_cut_off_is_told_the_rest() -> None:
    async with opened(Daemon().handlers()) as made:
        visitor = Visitor(made)
        whole = (await visitor.get("/turn/t-1/live")).body.decode()
        rest = (await visitor.get("/turn/t-1/live", Last_Event_ID="2-0")).body.decode()
        other = (await visitor.get("/turn/t-1/live", Last_Event_ID="nonsense")).body.decode()
        # Of another turn, or made up: the page is told the end, and nothing breaks.
        far = (await visitor.get("/turn/t-1/live", Last_Event_ID="999999999999999-999999999")).body.decode()
    assert "m answers" in whole
    assert "m answers" not in rest
    assert rest.endswith("\n\n")
    assert "event: end\n" in rest
    assert "Hello <strong>you</strong>" in rest
    assert other == whole
    assert "event: end\n" in far
