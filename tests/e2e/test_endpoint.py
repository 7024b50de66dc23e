"""Endpoints that say no answer, as a user of the real binary meets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.endpoint import Conversation, Endpoint
from tests.e2e.home import Done, Home, rss_bytes
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

DONE = b"data: [DONE]\n\n"
SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'


def delta(reason: str | None = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}


def call(name: str, arguments: Any, **named: Any) -> dict[str, Any]:
    return {**named, "type": "function", "function": {"name": name, "arguments": arguments}}


def heard(home: Home, endpoint: Endpoint, *pieces: bytes | dict[str, Any], words: tuple[str, ...] = ("hi",)) -> Done:
    """The end of a turn whose model says this."""
    child = home.start("run", "-q", *words)
    endpoint.next().send(*pieces)
    return home.finish(child)


@pytest.fixture
def scripted(home: Home, endpoint: Endpoint) -> Home:
    """An installation whose default model is the endpoint."""
    home.configure(f'{endpoint.config}[model]\ndefault = "scripted/m"\n')
    return home


def test_what_is_no_answer_never_ends_well_and_is_told(scripted: Home, endpoint: Endpoint) -> None:
    cases: list[tuple[list[bytes | dict[str, Any]], str]] = [
        ([{"object": "error", "message": "out of memory"}], "the endpoint gave up: out of memory"),
        ([b'event: error\ndata: {"detail": "overloaded"}\n\n'], "the endpoint gave up: overloaded"),
        ([delta(content="half"), {"errors": [{"message": "gone"}]}], "the endpoint gave up: gone"),
        ([delta("error", content="half")], "the endpoint ended the answer with the reason 'error'"),
        ([delta("content_filter")], "the endpoint ended the answer with the reason 'content_filter'"),
        ([delta(refusal="I will not."), delta("stop"), DONE], "the model refused: I will not."),
        ([delta("stop"), DONE], "the endpoint ended the answer without a word"),
        ([DONE], "the endpoint ended the answer without a word"),
        ([b'{"error": "no such model"}'], "the endpoint gave up: no such model"),
        (
            [b"<!DOCTYPE html><title>Chat</title>"],
            "no API at this address, base_url should end in /v1: it answers with a page: Chat",
        ),
    ]
    for pieces, words in cases:
        done = heard(scripted, endpoint, *pieces)
        assert done.status == 4, pieces
        assert done.err.startswith(f"agentgw: scripted/m: {words}"), pieces
    assert endpoint.served == len(cases), "none of them is asked again"


@pytest.mark.parametrize(
    "pieces",
    [
        [json.dumps({"choices": [{"message": {"content": "It is 4."}, "finish_reason": "stop"}]}).encode()],
        [b"\xef\xbb\xbfdata: " + json.dumps(delta("stop", content="It is 4.")).encode() + b"\r\rdata: [DONE]\r\r"],
        [delta(content=[{"type": "text", "text": "It is "}]), delta("stop", content="4."), DONE],
        [delta(content="<thi"), delta(content="nk>2+2</th"), delta("stop", content="ink>It is 4."), DONE],
    ],
)
def test_answers_in_other_forms_are_answers(
    scripted: Home, endpoint: Endpoint, pieces: list[bytes | dict[str, Any]]
) -> None:
    assert heard(scripted, endpoint, *pieces) == Done(status=0, out="It is 4.\n", err="")


def test_with_a_schema_a_fence_and_a_thought_are_not_the_answer(scripted: Home, endpoint: Endpoint) -> None:
    pieces = [delta(content="<think>four</think>```json\n"), delta("stop", content='{"a": 4}\n```'), DONE]
    assert heard(scripted, endpoint, *pieces, words=("--schema", SCHEMA, "2+2?")).out == '{"a": 4}\n'


def test_the_calls_that_are_made_are_the_models(scripted: Home, endpoint: Endpoint) -> None:
    for name in ("a", "b"):
        (scripted.work / f"{name}.txt").write_text(f"This is {name}.")
    child = scripted.start("run", "-q", "-t", "read_file", "read both")
    calls = [call("read_file", {"path": "a.txt"}, index=0, id="x"), call("read_file", '{"path":', index=0, id="y")]
    rest = [call(None, ' "b.txt"}', index=0, id="y")]  # type: ignore[arg-type]  # as it is streamed
    endpoint.next().send(delta(tool_calls=calls), delta("tool_calls", tool_calls=rest), DONE)
    told = endpoint.next()
    results = [message["content"] for message in told.messages if message["role"] == "tool"]
    told.end("done")
    assert scripted.finish(child).out == "done\n"
    assert [name for name in ("a", "b") if f"This is {name}." in results[ord(name) - ord("a")]] == ["a", "b"]


def test_a_call_that_was_cut_off_is_told_to_the_model(scripted: Home, endpoint: Endpoint) -> None:
    child = scripted.start("run", "-q", "-t", "read_file", "read it")
    endpoint.next().send(delta("length", tool_calls=[call("read_file", '{"path": "a', index=0, id="x")]), DONE)
    told = endpoint.next()
    assert "the call was cut off before its end" in told.messages[-1]["content"]
    told.end("sorry")
    assert scripted.finish(child).out == "sorry\n"


def test_an_answer_ends_although_the_connection_stays_open(scripted: Home, endpoint: Endpoint) -> None:
    child = scripted.start("run", "-q", "hi")
    conversation = endpoint.next()
    conversation.send(delta("stop", content="yes"), hold=True)
    assert scripted.finish(child).out == "yes\n"
    assert conversation.left.wait(PATIENCE_S)


def test_a_flood_is_left_at_its_bound_and_costs_no_memory(scripted: Home, endpoint: Endpoint) -> None:
    scripted.configure(f'{endpoint.config}[model]\ndefault = "scripted/m"\n[limits]\nanswer_bytes = 100_000\n')
    pid = scripted.daemon()
    before = rss_bytes(pid)
    child = scripted.start("run", "-q", "hi")
    conversation = endpoint.next()
    piece = b"".join(b"data: " + json.dumps(delta(content="word ")).encode() + b"\n\n" for _ in range(2000))
    for _ in range(500):
        conversation.pieces.put(piece)
    done = scripted.finish(child)
    assert conversation.left.wait(PATIENCE_S)
    assert done.status == 0
    assert len(done.out.rstrip()) == 100_000 - 1
    assert rss_bytes(pid) - before < 50 << 20


def test_max_tokens_holds_for_an_endpoint_that_ignores_it(scripted: Home, endpoint: Endpoint) -> None:
    child = scripted.start("run", "-q", "--json", "-o", "max_tokens=5", "hi")
    conversation = endpoint.next()
    conversation.say(*(f"{n} " for n in range(1000)))
    made = json.loads(scripted.finish(child).out)
    assert (made["text"], made["finish_reason"]) == ("0 1 2 3 4 ", "length")
    assert conversation.left.wait(PATIENCE_S)


def asked(conversation: Conversation) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in conversation.messages if one["role"] != "system"]


def test_after_turns_that_went_wrong_the_session_goes_on_by_turns(scripted: Home, endpoint: Endpoint) -> None:
    heard(scripted, endpoint, delta("stop", content="Hello."), DONE, words=("first",))
    heard(scripted, endpoint, {"error": "down"}, words=("-c", "failed at once"))
    heard(scripted, endpoint, delta(content="Well,"), {"error": "down"}, words=("-c", "failed in the middle"))
    child = scripted.start("run", "-q", "-c", "again")
    conversation = endpoint.next()
    assert asked(conversation) == [("user", "first"), ("assistant", "Hello."), ("user", "again")]
    conversation.end("Yes.")
    assert scripted.finish(child).out == "Yes.\n"


def test_a_stateless_chat_without_an_answer_is_an_error(scripted: Home, endpoint: Endpoint) -> None:
    asking = json.dumps({"messages": [{"role": "user", "content": "hi"}], "model": "scripted/m"})
    for pieces in ([delta("stop"), DONE], [delta("tool_calls", tool_calls=[call("look", {}, index=0)]), DONE]):
        child = scripted.start("call", "chat.complete", asking)
        endpoint.next().send(*pieces)
        done = scripted.finish(child)
        assert (done.status, done.out) == (4, "")
