"""Bytes of a server as messages: mended where that loses nothing, otherwise refused with a reason and an id."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tools.mcp.mcp_message import (
    PARSE_ERROR,
    UnreadableMessage,
    is_reply,
    mended,
    read_messages,
    reply_in,
)


def only(line: str | bytes) -> dict[str, Any]:
    (message,) = read_messages(line if isinstance(line, bytes) else line.encode())
    return message


def unreadable(line: str | bytes) -> UnreadableMessage:
    with pytest.raises(UnreadableMessage) as caught:
        read_messages(line if isinstance(line, bytes) else line.encode())
    return caught.value


def test_messages_of_every_kind() -> None:
    assert only('{"jsonrpc": "2.0", "method": "ping", "id": "a", "params": {"x": 1}}') == {
        "jsonrpc": "2.0", "method": "ping", "id": "a", "params": {"x": 1},
    }  # fmt: skip
    assert only('{"method": "m", "params": [1]}') == {"jsonrpc": "2.0", "method": "m"}
    assert only('{"id": 1, "result": {"a": 1}}') == {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}
    assert not is_reply(only('{"method": "m"}'))
    assert is_reply(only('{"id": 1, "error": {}}'))
    assert [one["id"] for one in read_messages(b'[{"id": 1, "result": {}}, {"id": 2, "result": {}}]')] == [1, 2]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"code": -1, "message": "no"}, {"code": -1, "message": "no"}),
        ("no", {"code": -32603, "message": "no"}),
        ({"code": "E1", "message": ""}, {"code": -32603, "message": '{"code": "E1", "message": ""}'}),
        ({"detail": "no"}, {"code": -32603, "message": '{"detail": "no"}'}),
        (["no"], {"code": -32603, "message": '["no"]'}),
        (True, {"code": -32603, "message": "true"}),
    ],
)
def test_an_error_of_any_shape_keeps_its_words(error: object, said: object) -> None:
    assert only(json.dumps({"id": 1, "error": error})) == {"jsonrpc": "2.0", "id": 1, "error": said}


@pytest.mark.parametrize(
    ("written", "read"), [("2", 2), ('"2"', 2), ("2.0", 2), ('"x"', "x"), ("null", None), ("true", None), ("[1]", None)]
)
def test_an_id_is_the_one_that_was_sent(written: str, read: object) -> None:
    assert only(f'{{"id": {written}, "result": {{}}}}')["id"] == read


@pytest.mark.parametrize(
    ("line", "request_id", "reply"),
    [
        ('{"jsonrpc": "2.0", "id": 7, "result": {"a', 7, True),
        ('{"id":7,"result":{"a', 7, True),
        ('{"result":{"id": 3, "n": NaN},"jsonrpc":"2.0","id":7}', 7, True),
        ('{"jsonrpc":"2.0","result":{"id": 3, "n": NaN}, "id": "7"  }', 7, True),
        ('{"result":{"id": 3},"jsonrpc":"2.0","id":', None, True),
        ('{"jsonrpc":"2.0","id":7,"result":' + "[" * 1000 + "]" * 1000 + "}", 7, True),
        ('{"level": "info", "id": ', None, True),
        ('{"level": "info", "id": 7}', None, False),
        ('{"jsonrpc": "2.0", "id": 7}', 7, True),
        ('{"level": "info"}', None, False),
        ("[INFO] started", None, False),
        ("Listening on 3000", None, False),
        ("7", None, False),
        ("[]]", None, False),
        ("\x00", None, False),
        ("é".encode("latin-1"), None, False),
        ("{" * 100_000, None, True),
        ('{"id": 07, "result": {"x": NaN}}', 7, True),
    ],
)
def test_of_what_cannot_be_read_it_is_told_whose_answer_it_was(
    line: str | bytes, request_id: object, reply: bool
) -> None:
    error = unreadable(line)
    assert (error.request_id, error.reply) == (request_id, reply)
    assert len(str(error)) < 300
    assert str(error).isprintable()


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ud8id10eE.+-nul \n', max_size=60).map(str.encode))
def test_any_bytes_are_messages_or_a_reason(line: bytes) -> None:
    with contextlib.suppress(UnreadableMessage):
        json.dumps(read_messages(line), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"jsonrpc": "2.0", "id": 5, "result": {"a": 1}}', {"a": 1}),
        ('{"jsonrpc": "2.0", "id": 99, "result": {"a": 1}}', {"a": 1}),
        ('[{"method": "m"}, {"id": 4, "result": {}}, {"id": 5, "result": {"a": 1}}]', {"a": 1}),
    ],
)
def test_over_http_the_answer_is_whatever_the_response_holds(body: str, told: object) -> None:
    assert reply_in(body.encode(), 5) == {"jsonrpc": "2.0", "id": 5, "result": told}


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"method": "m"}', '{"id": 5, "result": 1}', '{"id": NaN}'])
def test_a_response_without_an_answer_says_why(body: str) -> None:
    made = reply_in(body.encode(), 5)
    assert (made["id"], made["error"]["code"]) == (5, PARSE_ERROR)
    assert made["error"]["message"].startswith("its answer ")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (r"\ud83d", r"\ufffd"),
        (r"\ude00\ud83d", r"\ufffd\ufffd"),
        (r"\uD83D\uDE00", r"\uD83D\uDE00"),
        (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\\ud83d", r"\\ud83d"),
        (r"\\\ud83d", r"\\\ufffd"),
        (r"\u00e9", r"\u00e9"),
        ("\\", "\\"),
    ],
)
def test_escapes_of_half_characters_are_replaced_and_others_kept(text: str, made: str) -> None:
    assert mended(text) == made
