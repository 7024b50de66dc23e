"""Calls that wait, as a page: exactly what would run, and nothing of it read as HTML."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from agentgw.protocol.calls.approvals import ApprovalList, RuleIdParams, RuleList
from agentgw.protocol.calls.shared import Done
from agentgw.protocol.types import Approval, ApprovalRule
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import EVIL, Visitor, text_of

pytestmark = pytest.mark.anyio


class Approvals:
    """`approval.*` of these, and the rules that were ended."""

    def __init__(self, *waiting: Approval, rules: tuple[ApprovalRule, ...] = ()) -> None:
        self.waiting, self.rules = waiting, rules
        self.revoked: list[str] = []

    def handlers(self) -> dict[str, Handler]:
        return {"approval.list": self.list, "approval.rules": self.list_rules, "approval.revoke": self.revoke}

    def list(self, request: Any, params: Any) -> ApprovalList:
        return ApprovalList(approvals=self.waiting)

    def list_rules(self, request: Any, params: Any) -> RuleList:
        return RuleList(rules=self.rules)

    def revoke(self, request: Any, params: RuleIdParams) -> Done:
        self.revoked.append(params.rule_id)
        return Done()


def approval(**more: Any) -> Approval:
    values: dict[str, Any] = {
        "approval_id": "a-1", "tool": "write_file", "arguments": {"path": "x", "text": "y"}, "cwd": "/w",
        "asked_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-01T00:01:00Z",
    }  # fmt: skip
    return Approval(**{**values, **more})


def rule(**more: Any) -> ApprovalRule:
    values: dict[str, Any] = {
        "rule_id": "r-1", "tool": "run", "arguments": {"command": "ls"}, "cwd": "/w",
        "created_at": "2020-01-01T00:00:00Z",
    }  # fmt: skip
    return ApprovalRule(**{**values, **more})


async def test_a_call_is_shown_exactly_with_its_diff_and_its_answers() -> None:
    made_of = Approvals(approval(title="Change x", diff="-old\n+new", turn_id="t-1"), rules=(rule(),))
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/approvals")
    body, text = reply.body.decode(), text_of(reply)
    for words in ("Change x", '"path": "x"', "Allow once", "No", '"command": "ls"'):
        assert words in text
    assert "<del>-old</del>" in body
    assert "<ins>+new</ins>" in body
    assert 'action="/approvals/a-1"' in body
    assert 'href="/turn/t-1"' in body


async def test_when_nothing_waits_the_page_says_where_questions_come_from() -> None:
    async with opened(Approvals().handlers()) as made:
        text = text_of(await Visitor(made).get("/approvals"))
    assert "No call waits for an answer" in text
    assert "Nothing is always allowed" in text


async def test_cards_that_are_shown_already_are_left_alone() -> None:
    made_of = Approvals(approval())
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        found = re.search(r"/approvals\?seen=([0-9a-f]+)", (await visitor.get("/approvals")).body.decode())
        assert found is not None
        same = await visitor.get(found[0], HX_Request="true")
        made_of.waiting = ()
        other = await visitor.get(found[0], HX_Request="true")
    assert (same.status, other.status) == (204, 200)
    assert "No call waits" in text_of(other)


async def test_many_calls_are_shown_twenty_at_a_time_and_the_next_come_as_these_are_answered() -> None:
    made_of = Approvals(*(approval(approval_id=f"a-{number}") for number in range(1000)))
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        first = await visitor.get("/approvals")
        found = re.search(r"/approvals\?seen=[0-9a-f]+", first.body.decode())
        assert found is not None
        # What waits behind those that are read changes nothing of them.
        made_of.waiting = made_of.waiting[:500]
        assert (await visitor.get(found[0], HX_Request="true")).status == 204
        made_of.waiting = made_of.waiting[1:21]
        last = await visitor.get(found[0], HX_Request="true")
    shown = [re.findall(r'action="/approvals/(a-[0-9]+)"', reply.body.decode()) for reply in (first, last)]
    assert shown == [[f"a-{number}" for number in range(20)], [f"a-{number}" for number in range(1, 21)]]
    assert ["More calls wait" in text_of(reply) for reply in (first, last)] == [True, False]


async def test_nothing_of_a_call_is_read_as_html() -> None:
    made_of = Approvals(
        approval(
            approval_id=EVIL, tool=EVIL, arguments={EVIL: EVIL}, cwd=EVIL, title=EVIL, details=(EVIL,), diff=f"+{EVIL}",
            turn_id=EVIL, expires_at=EVIL,
        ),
        rules=(rule(rule_id=EVIL, tool=EVIL, arguments={EVIL: EVIL}, cwd=EVIL, created_at=EVIL),),
    )  # fmt: skip
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/approvals?seen=%22%3E%3Cimg")
    body = reply.body.decode()
    assert reply.status == 200
    assert "<img" not in body
    assert 'onerror="' not in body


async def test_nothing_of_a_call_is_unseen_or_turned_around() -> None:
    """Somebody says yes by what is read here."""
    turned = "a\u202eb\u200bc\u2028\r\x1b"
    made_of = Approvals(
        approval(tool=turned, cwd=turned, title=turned, details=(turned,), diff=f"+{turned}\n-{turned}\n {turned}"),
        rules=(rule(tool=turned, cwd=turned, arguments={turned: turned}),),
    )
    async with opened(made_of.handlers()) as made:
        body = (await Visitor(made).get("/approvals")).body.decode()
    assert set(body) & set("\u202e\u200b\u2028\r\x1b") == set()
    assert body.count("<ins>") == body.count("<del>") == 1


async def test_a_rule_is_ended_by_its_id() -> None:
    made_of = Approvals(rules=(rule(),))
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        reply = await visitor.post("/approvals/rules/revoke", {"rule": "r-1"})
        assert (await visitor.post("/approvals/rules/revoke", {})).status == 400
    assert (reply.status, reply.headers["location"]) == (303, "/approvals")
    assert made_of.revoked == ["r-1"]


async def test_rules_come_fifty_at_a_time_each_once_and_in_their_order() -> None:
    rules = tuple(rule(rule_id=f"r-{number:03d}", arguments={"n": number}) for number in range(125))
    seen: list[str] = []
    async with opened(Approvals(rules=rules).handlers()) as made:
        visitor, address = Visitor(made), "/approvals"
        while address:
            assert len(seen) < len(rules), address
            body = (await visitor.get(address)).body.decode()
            page = re.findall(r'name="rule" value="([^"]*)"', body)
            assert len(page) in (50, 25)
            more = re.search(r'href="(/approvals\?from=[0-9]+)">More rules', body)
            assert bool(more) == (len(page) == 50)
            seen += page
            address = more[1] if more else ""
    assert seen == [one.rule_id for one in rules]


@pytest.mark.parametrize("count", [1, 50, 51, 100])
async def test_there_are_more_rules_only_where_there_are(count: int) -> None:
    rules = tuple(rule(rule_id=f"r-{number}") for number in range(count))
    async with opened(Approvals(rules=rules).handlers()) as made:
        text = text_of(await Visitor(made).get("/approvals"))
    assert ("More rules" in text) == (count > 50)


@pytest.mark.parametrize("place", ["1", "50", "999999", "0"])
async def test_a_place_behind_the_last_rule_leads_back(place: str) -> None:
    """Rules were ended meanwhile, or there never were so many."""
    async with opened(Approvals(rules=(rule(),)).handlers()) as made:
        text = text_of(await Visitor(made).get(f"/approvals?from={place}"))
    assert ("There are no more rules. All rules" in text) == (place != "0")
    assert "Nothing is always allowed" not in text


@pytest.mark.parametrize("place", ["-1", "x", "1.5", "%c2%b2", "1234567", "", "1&from=x"])
async def test_what_is_no_place_in_the_rules_is_their_beginning(place: str) -> None:
    rules = (rule(rule_id="r-first"), rule(rule_id="r-second"))
    async with opened(Approvals(rules=rules).handlers()) as made:
        reply = await Visitor(made).get(f"/approvals?from={place}")
    assert reply.status == 200
    assert "r-first" in reply.body.decode()


async def test_rules_of_one_tool_are_told_apart_without_unfolding_them() -> None:
    rules = (rule(arguments={"command": "ls"}), rule(arguments={"command": "x" * 200}))
    async with opened(Approvals(rules=rules).handlers()) as made:
        body = (await Visitor(made).get("/approvals")).body.decode()
    seen = [unescape(one) for one in re.findall(r"<summary><code>(.*?)</code>", body)]
    assert seen == ['run {"command": "ls"}', f'run {{"command": "{"x" * 67} …']
