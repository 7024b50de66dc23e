"""Bodies of answers by what they are, whatever their headers say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentgw_daemon.inference.engines.chunks import GaveUp, NotUnderstood
from agentgw_daemon.inference.engines.incoming import Incoming, NotAnApi

BOM = b"\xef\xbb\xbf"
WHOLE = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}, indent=1).encode()


def chunk(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


STREAM = f"data: {chunk('h')}\n\ndata: {chunk('i')}\n\ndata: [DONE]\n\n".encode()


def read(*chunks: bytes, most: int = 10_000) -> tuple[str, bool]:
    """The text, and whether the endpoint said that it was all."""
    incoming = Incoming(most)
    pieces = [piece for one in chunks for piece in incoming.feed(one)] + list(incoming.close())
    return "".join(text for piece in pieces for _, text in piece.texts), incoming.done


@pytest.mark.parametrize("body", [STREAM, WHOLE, BOM + STREAM, BOM + WHOLE, b"\n \n" + WHOLE, b"\r\n\r\n" + STREAM])
def test_streams_and_whole_completions_are_told_by_their_bytes_in_any_pieces(body: bytes) -> None:
    assert read(body) == ("hi", True)
    assert read(*(body[at : at + 1] for at in range(len(body)))) == ("hi", True)


def test_the_only_choice_is_the_answer_whatever_its_index() -> None:
    def numbered(index: object, text: str) -> bytes:
        return b"data: " + chunk(text).replace("{", f'{{"index": {json.dumps(index)}, ', 2).encode() + b"\n\n"

    assert read(numbered(1, "h"), numbered(1, "i")) == ("hi", False)
    assert read(numbered("1", "h"), numbered(0, "x"), numbered(1, "i")) == ("hi", False)
    whole = json.dumps({"choices": [{"index": 1, "message": {"content": "hi"}, "finish_reason": "stop"}]})
    assert read(whole.encode()) == ("hi", True)


def test_a_whole_completion_is_taken_without_waiting_for_the_connection_to_close() -> None:
    incoming = Incoming(10_000)
    assert [len(piece.texts) for piece in incoming.feed(WHOLE)] == [1]
    assert incoming.done


FINISHED = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
FIRST = json.dumps({"object": "chat.completion.chunk", "choices": []})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("before", [b"", BOM, b"\n\n", f"{FIRST}\n".encode()])
def test_chunks_that_come_line_by_line_are_all_read(before: bytes, end: str) -> None:
    body = before + end.join((chunk("h"), chunk("i"), FINISHED, "")).encode()
    for said, done in ((body, False), (body.removesuffix(end.encode()), False), (body + b"[DONE]\n" + body, True)):
        assert read(said) == ("hi", done)
        assert read(*(said[at : at + 1] for at in range(len(said)))) == ("hi", done)


def test_a_first_chunk_is_not_taken_for_the_answer() -> None:
    """The others may come a while later, and the line end with them."""
    incoming = Incoming(10_000)
    assert list(incoming.feed(chunk("h").encode())) == []
    pieces = [*incoming.feed(b"\n"), *incoming.feed(f"{chunk('i')}\n{chunk('!')[:-9]}".encode()), *incoming.close()]
    assert ("".join(text for piece in pieces for _, text in piece.texts), incoming.done) == ("hi", False)


def test_a_body_of_one_chunk_is_an_answer_that_was_cut() -> None:
    assert read(chunk("h").encode()) == ("h", False)
    ended = {"choices": [{"delta": {"content": "h"}, "finish_reason": "stop"}]}
    assert read(json.dumps(ended).encode()) == ("h", True)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("<html>", "an event that is no JSON"), ('{"choices": 7}', "choices that are no list"),
        ("x" * 20_000, "a line of more than 10000 bytes"), ("null", "no object"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_chunk_is_told_after_what_came_before(line: str, what: str) -> None:
    incoming = Incoming(10_000)
    (first,) = incoming.feed(f"{chunk('h')}\n".encode())
    assert first.texts == (("answer", "h"),)
    with pytest.raises(NotUnderstood, match=what):
        list(incoming.feed(f"{line}{'' if len(line) > 100 else chr(10)}".encode()))


def test_a_stream_may_end_without_saying_so() -> None:
    assert read(STREAM.removesuffix(b"data: [DONE]\n\n")) == ("hi", False)
    assert read(b"") == ("", False)


def test_an_event_that_was_cut_with_its_connection_is_left_to_whoever_tells_of_that() -> None:
    assert read(STREAM[:20]) == ("", False)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><title>Open WebUI</title><script>x</script>", "Open WebUI"),
        (b"\n<html>" + b"x" * 5000, "x"),
        (BOM + b"<p>hi", "hi"),
        (b"<Error><Message>hi</Message></Error>", "hi"),
    ],
)
def test_a_page_is_no_api(body: bytes, words: str) -> None:
    with pytest.raises(NotAnApi, match=words):
        read(body)


def test_a_page_is_told_at_once() -> None:
    with pytest.raises(NotAnApi, match="Welcome"):
        list(Incoming(10_000).feed(b"<html><title>Welcome</title>"))


@pytest.mark.parametrize(
    "event",
    [
        'event: error\ndata: {"message": "boom"}', "event: error\ndata: boom", 'event: stream_error\ndata: "boom"',
        'data: {"object": "error", "message": "boom"}', 'data: {"error": "boom"}', "event: exception\ndata: boom",
    ],
)  # fmt: skip
def test_an_error_in_the_stream_is_one_after_what_came_before(event: str) -> None:
    incoming = Incoming(10_000)
    pieces = incoming.feed(f"data: {chunk('half')}\n\n{event}\n\n".encode())
    assert next(pieces).texts == (("answer", "half"),)
    with pytest.raises(GaveUp, match="boom"):
        next(pieces)


def test_an_error_event_without_words_is_one_as_well() -> None:
    with pytest.raises(GaveUp):
        read(b"event: error\n\n")


@pytest.mark.parametrize(
    "event", [b": ping\n\n", b"event: ping\ndata: x\n\n", b"data\n\n", b"id: 1\n\n", b"data: \n\n"]
)
def test_what_only_keeps_the_connection_open_says_nothing(event: bytes) -> None:
    assert read(event, STREAM) == ("hi", True)


@pytest.mark.parametrize(
    ("body", "what", "came"),
    [
        (b"data: <html>\n\n", "an event that is no JSON", "<html>"),
        (b"data: " + b"[" * 5000 + b"\n\n", "an event that is no JSON", "[[["),
        (b"data: null\n\n", "no object", None),
        (b"upstream timed out", "no event stream", "upstream timed out"),
        (b"Internal Server Error\n\n", "no event stream", "Internal Server Error"),
        (b'{"choices": [', "neither JSON nor an event stream", '{"choices"'),
        (b'{"a": 1}\n{"a": 2}', "neither JSON nor an event stream", '{"a": 1}'),
        (b"data: " + b"x" * 20_000, "an event of more than 10000 bytes", None),
        (b"{" + b"x" * 20_000, "a body of more than 10000 bytes", None),
        (b" " * 70_000, "nothing but blanks", None),
    ],
)
def test_what_is_not_understood_is_told(body: bytes, what: str, came: Any) -> None:
    with pytest.raises(NotUnderstood, match=what) as caught:
        read(body)
    assert came is None or str(caught.value.came).startswith(came)


def test_a_body_that_looks_whole_at_every_byte_is_not_parsed_at_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counted(_: str) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr("agentgw_daemon.inference.engines.incoming._value", counted)
    incoming = Incoming(10_000)
    for _ in range(1000):
        list(incoming.feed(b"[]"))
    assert looks <= 16
