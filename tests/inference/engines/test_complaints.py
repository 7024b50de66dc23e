"""Errors of endpoints in every shape they have been seen in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import ContextOverflow, ModelUnavailable
from agentgw_daemon.inference.engines.complaints import MAX_MESSAGE_CHARS, complaint_of, error_of, read_complaint
from tests.inference.engines.endpoint import KEY

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "errors", "loc", "metadata", "x"]), inner
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "said",
    [
        "boom",
        {"error": "boom"},
        {"error": {"message": "boom", "code": 500}},
        {"error": {"error": {"message": "boom"}}},
        {"error": ["boom"]},
        {"error": {"type": "server_error", "detail": "boom"}},
        {"error": json.dumps({"error": {"message": "boom"}})},
        {"error": {"message": '{"message": "boom"}'}},
        {"errors": [{"message": "boom"}]},
        {"detail": "boom"},
        {"detail": {"msg": "boom"}},
        {"message": "boom"},
        {"Message": "boom"},
        {"object": "error", "message": "boom", "type": "X", "code": 40301},
        {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}},
        {"title": "boom", "status": 503},
        {"error_description": "boom"},
        {"fault": {"faultstring": "boom"}},
        [{"error": {"message": "boom"}}],
        {"error": {"message": "<html><head><title>boom</title><script>x()</script></head>"}},
    ],
)
def test_the_words_are_found_in_any_shape(said: Any) -> None:
    assert complaint_of(said, secret=None).message == "boom"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"detail": [{"loc": ["body", "messages", 0], "msg": "field required"}]}, "body.messages.0: field required"),
        ({"errors": ["one", {"message": "two"}]}, "one; two"),
        ({"error": {"code": 7}}, '{"error": {"code": 7}}'),
        ({"error": 42}, '{"error": 42}'),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": '{"message": "boom"}'}}},
            "Provider returned error: boom",
        ),
        ({"error": {"message": "a\x1b[31m\u202eb\nc"}}, "a [31m b c"),
        (None, ""),
    ],
)
def test_what_has_no_plain_words_is_told_as_well(said: Any, message: str) -> None:
    assert complaint_of(said, secret=None).message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"plain words", "plain words"),
        (b'\xef\xbb\xbf{"error": "boom"}', "boom"),
        (b"<!DOCTYPE html><style>p { color: red }</style><p>Bad &amp; broken</p>", "Bad & broken"),
        (b"<h1>Bad</h1>\n<h1>Bad</h1><hr>nginx", "Bad nginx"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey"),
        (b"<>", "<>"),
        (b"[" * 100_000, "[" * (MAX_MESSAGE_CHARS - 1) + "…"),
        (b"", ""),
    ],
)
def test_a_body_is_read_by_what_it_is(body: bytes, message: str) -> None:
    assert read_complaint(body, secret=None).message == message


@given(ANY_JSON)
def test_any_json_gives_one_bounded_printable_line(said: Any) -> None:
    complaint = complaint_of(said, secret=None)
    assert len(complaint.message) <= MAX_MESSAGE_CHARS
    assert complaint.message.isprintable()
    assert complaint.code.isprintable()


@pytest.mark.parametrize("before", [0, 270, 280, 290, 299, 300])
def test_a_key_is_blotted_out_wherever_the_line_is_cut(before: int) -> None:
    for said in (
        "x" * before + KEY,
        {"error": {"message": "x" * before + KEY, "code": KEY}},
        {"y": "x" * before + KEY},
    ):
        complaint = complaint_of(said, secret=KEY)
        assert KEY[:6] not in complaint.message + complaint.code


def test_a_prompt_too_long_is_told_with_the_numbers() -> None:
    said = {"error": {"message": "long", "code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9}}
    error = error_of(complaint_of(said, secret=None), "far/m", "the endpoint answers 400")
    assert isinstance(error, ContextOverflow)
    assert error.data == {"prompt_tokens": 9, "model": "far/m"}


@pytest.mark.parametrize(
    ("code", "alone"), [("content_filter", True), ("content_policy_violation", True), ("invalid_api_key", None)]
)
def test_a_message_that_is_refused_for_its_content_is_told_from_an_endpoint_that_refuses_all(
    code: str, alone: bool | None
) -> None:
    said = {"error": {"message": "no", "code": code}}
    error = error_of(complaint_of(said, secret=None), "far/m", "the endpoint answers 400")
    assert error.data.get("no_answer") is alone


def test_an_error_without_words_still_says_what_happened() -> None:
    error = error_of(complaint_of(None, secret=None), "far/m", "the endpoint answers 500")
    assert isinstance(error, ModelUnavailable)
    assert error.message == "far/m: the endpoint answers 500"


@pytest.mark.parametrize(
    ("code", "final"), [("insufficient_quota", True), ("rate_limit_exceeded", False), (429, False)]
)
def test_an_error_may_say_that_asking_again_is_in_vain(code: Any, final: bool) -> None:
    assert complaint_of({"error": {"message": "no", "code": code}}, secret=None).final == final
