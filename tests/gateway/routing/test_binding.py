"""From path, query and body to parameters."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.calls.documents import DocumentDeleteParams, DocumentListParams, DocumentSearchParams
from agentgw.protocol.calls.feedback import FeedbackListParams
from agentgw.protocol.calls.sessions import SessionListParams
from agentgw.protocol.calls.turns import TurnListParams
from agentgw.protocol.errors import InvalidParams, ParseError
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.routing.binding import body_values, merged, query_values


@pytest.mark.parametrize(
    ("query", "params", "values"),
    [
        ("", SessionListParams, {}),
        ("limit=5&before=x", SessionListParams, {"limit": 5, "before": "x"}),
        ("running=true", TurnListParams, {"running": True}),
        ("running=0", TurnListParams, {"running": False}),
        ("rating=-1", FeedbackListParams, {"rating": -1}),
        ("query=a+b%20c%C3%A4&k=3", DocumentSearchParams, {"query": "a b cä", "k": 3}),
        ("skills=a,b&skills=c", DocumentListParams, {"skills": ["a", "b", "c"]}),
        ("query=", DocumentSearchParams, {"query": ""}),
    ],
)
def test_each_field_of_a_query_becomes_what_its_field_wants(query: str, params: type, values: Any) -> None:
    assert query_values(query, params, {}) == values


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=1&limit=2", "limit"),
        ("cwd=%00", "cwd"),
        ("x=%ff", "the query"),
        ("&".join(f"a{i}=1" for i in range(300)), "the query"),
    ],
)
def test_a_query_that_says_two_things_or_nothing_readable_is_refused(query: str, path: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        query_values(query, SessionListParams, {})
    assert refused.value.data["path"] == path


@pytest.mark.parametrize("text", ["x", "1e3", "٣", "1" * 5000, "", " 1", "0x1", "nan"])
def test_what_is_no_number_is_refused_by_its_own_field(text: str) -> None:
    with pytest.raises(InvalidParams, match="limit"):
        bind(SessionListParams, query_values(f"limit={text}", SessionListParams, {}))


def test_the_predecessors_names_lead_to_ours_and_one_of_them_by_itself_makes_a_list() -> None:
    names = {"source": "sources", "id": "ids"}
    query = query_values("source=a%2Cb.md", DocumentDeleteParams, names)
    assert merged([query], names) == {"sources": ["a,b.md"]}
    assert merged([{"source": "a,b.md"}], names) == {"sources": ["a,b.md"]}
    assert merged([query_values("ids=a,b", DocumentDeleteParams, names)], names) == {"ids": ["a", "b"]}


def test_a_name_that_leads_to_nothing_is_passed_over() -> None:
    assert merged([{"skill_name": "x", "message": "m"}], {"skill_name": ""}) == {"message": "m"}


def test_a_field_that_is_given_by_two_names_is_refused() -> None:
    with pytest.raises(InvalidParams, match="twice"):
        merged([{"skill": "a"}, {"skill_name": "b"}], {"skill_name": "skill"})


def test_a_body_is_read_by_the_rules_of_the_socket() -> None:
    assert body_values(b'{"a": 1}', max_depth=4) == {"a": 1}
    for body in (b'{"a":1,"a":2}', b"{", b'{"a":NaN}', b"\xff", b'{"a":"\\ud800"}'):
        with pytest.raises(ParseError):
            body_values(body, max_depth=4)
    for body in (b"[]", b"1", b"null", b'"x"'):
        with pytest.raises(InvalidParams, match="object"):
            body_values(body, max_depth=4)
