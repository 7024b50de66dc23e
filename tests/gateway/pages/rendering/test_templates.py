"""Values in pages: a line of ours keeps its order and its end, a text to be read keeps its characters."""

from __future__ import annotations

import pytest

from agentgw.protocol.types import SearchHit, Session
from agentgw_daemon.gateway.pages.rendering.marking import marked
from agentgw_daemon.gateway.pages.rendering.templates import rendered
from tests.gateway.pages.harness import WHEN

TURNED = "a\u202eb\u2028c\x1b"


def listed(title: str) -> str:
    session = Session(session_id="s-1", title=title, skill=title, created_at=WHEN, updated_at=WHEN)
    return rendered("sessions.html", query="", hits=(), marked=marked, sessions=(session,), next=None)


def found(title: str) -> str:
    hit = SearchHit(session_id="s-1", turn_id="t", title=title, role="user", snippet="x", created_at=WHEN)
    return rendered("sessions.html", query="x", hits=(hit,), marked=marked, sessions=(), next=None)


@pytest.mark.parametrize("shown", [listed, found])
def test_a_title_turns_no_line_of_ours_around(shown: object) -> None:
    assert callable(shown)
    page = shown(TURNED)
    assert "a\\u202eb\\u2028c\\x1b" in page
    assert not set("\u202e\u2028\x1b") & set(page)


def test_words_in_other_directions_and_emoji_stay_as_they_are() -> None:
    title = "שלום עולם 👩‍👩‍👧 مرحبا"
    assert title in listed(title)


def test_a_problem_says_its_words_in_their_order() -> None:
    assert "\\u202e" in rendered("problem_line.html", message=f"no {TURNED}", hint=TURNED)


def test_commands_in_a_message_are_shown_as_code_and_nothing_else_of_it_is() -> None:
    page = rendered("problem_line.html", message="`a <b>` is <i>", hint="run `agentgw pull x` or ` not")
    assert page == '<p class="problem"><code>a &lt;b&gt;</code> is &lt;i&gt;. run `agentgw pull x` or ` not</p>'
    assert TURNED[1] not in rendered("notice.html", text=f"`{TURNED}`")


@pytest.mark.parametrize(("notice", "more"), [(None, True), ("there are no documents yet", False)])
def test_other_words_are_advised_only_where_nothing_else_is_the_matter(notice: str | None, more: bool) -> None:
    page = rendered("documents_found.html", query="x", chunks=(), notice=notice, marked=marked)
    assert "Nothing fits." in page
    assert ("other words" in page) == more


def test_what_is_read_or_sent_again_keeps_its_characters() -> None:
    for template, values in (
        ("steered.html", {"text": f"<b>{TURNED}"}), ("tool_result.html", {"content": f"<b>{TURNED}", "cut_chars": 0}),
        ("reasoning.html", {"text": f"<b>{TURNED}", "turn_id": "t", "number": 1}),
    ):  # fmt: skip
        assert f"&lt;b&gt;{TURNED}" in rendered(template, **values)
