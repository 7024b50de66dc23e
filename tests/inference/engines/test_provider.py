"""The engine behind an OpenAI-compatible endpoint, against a real server that misbehaves."""

from __future__ import annotations

import gzip
import logging
import re
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
import trio

from agentgw.protocol.errors import ContextOverflow, ModelUnavailable, RpcError
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import EngineEvent, Finished, GenerationRequest, TextDelta
from agentgw_daemon.inference.engines.endpoint_http import Patience, open_client
from agentgw_daemon.inference.engines.provider import ProviderEngine
from agentgw_daemon.inference.spec import ProviderSpec
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from tests.inference.engines.endpoint import KEY, Act, Endpoint, called, ended, playing, refusal, said, stream_of
from tests.patience import PATIENCE_S
from tests.polling import until

pytestmark = pytest.mark.anyio

DONE = "[DONE]"
HELLO = stream_of(said("Hel"), said("lo"), ended(), DONE)
QUICK = Patience(first_backoff_s=0.001, silence_s=5)


@asynccontextmanager
async def engine_for(
    *acts: Act, key: str | None = KEY, patience: Patience = QUICK
) -> AsyncIterator[tuple[ProviderEngine, Endpoint]]:
    with trio.fail_after(PATIENCE_S):
        async with playing(*acts) as endpoint, open_client(patience) as client:
            spec = ProviderSpec(name="far", base_url=endpoint.url, api_key_env="FAR_KEY" if key else None, model="m-1")
            yield ProviderEngine(spec, key, client, patience), endpoint


async def events_of(
    engine: ProviderEngine, *, schema: dict[str, Any] | None = None, **options: object
) -> list[EngineEvent]:
    messages = (ChatMessage(role="system", content="be brief"), ChatMessage(role="user", content="hi"))
    request = GenerationRequest(messages=messages, options=Options(**options), schema=schema)  # type: ignore[arg-type]  # by name
    async with engine.stream(request) as events:
        return [event async for event in events]


def text_of(events: list[EngineEvent], channel: str = "answer") -> str:
    return "".join(t for e in events if isinstance(e, TextDelta) and e.channel == channel for t in e.texts)


async def answer_to(
    *acts: Act, schema: dict[str, Any] | None = None, patience: Patience = QUICK, **options: object
) -> tuple[str, Finished]:
    async with engine_for(*acts, patience=patience) as (engine, _):
        events = await events_of(engine, schema=schema, **options)
    finished = events[-1]
    assert isinstance(finished, Finished)
    return text_of(events), finished


async def refusal_of(*acts: Act) -> RpcError:
    async with engine_for(*acts) as (engine, _):
        with pytest.raises(RpcError) as caught:
            await events_of(engine)
    assert KEY not in str(caught.value.to_wire())
    return caught.value


async def told_at_once(*acts: Act) -> RpcError:
    """The error of an answer that is not asked for again."""
    async with engine_for(*acts, *[HELLO] * QUICK.attempts) as (engine, endpoint):
        with pytest.raises(RpcError) as caught:
            await events_of(engine)
        assert len(endpoint.requests) == 1
    return caught.value


async def test_answer_streams_with_the_usage_of_the_endpoint() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    text, finished = await answer_to(
        stream_of(said(""), said("Hel"), said("lo"), ended(), {"choices": [], "usage": usage}, DONE)
    )
    assert text == "Hello"
    assert finished.finish_reason == "stop"
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens, finished.usage.cached_tokens) == (12, 2, 8)
    assert finished.timings.first_token_ms > 0


async def test_request_carries_messages_model_key_and_the_options_that_were_set() -> None:
    async with engine_for(HELLO) as (engine, endpoint):
        await events_of(engine, temperature=0.5, max_tokens=7, seed=1, stop=("x",), repeat_penalty=1.1)
    assert endpoint.headers[0][":path"] == "/v1/chat/completions"
    assert endpoint.headers[0]["authorization"] == f"bearer {KEY}"
    assert endpoint.requests == [
        {
            "model": "m-1",
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5, "max_tokens": 7, "seed": 1, "stop": ["x"],
            "repeat_penalty": 1.1, "repetition_penalty": 1.1,
        }
    ]  # fmt: skip


async def test_endpoint_without_key_gets_no_authorization() -> None:
    async with engine_for(HELLO, key=None) as (engine, endpoint):
        await events_of(engine)
    assert "authorization" not in endpoint.headers[0]


async def test_stream_may_be_cut_at_every_byte() -> None:
    act = stream_of(said("grüße "), said("🎉 ok"), ended("length"), DONE, end="\r\n")
    head, *events = act.pieces
    body = b"".join(events)
    text, finished = await answer_to(Act([head, *(body[i : i + 1] for i in range(len(body)))]))
    assert text == "grüße 🎉 ok"
    assert finished.finish_reason == "length"


async def test_comments_other_fields_and_data_over_several_lines_are_understood() -> None:
    head, *_ = HELLO.pieces
    body = b': ping\n\nevent: message\nid: 3\ndata: {"choices":\ndata:  [{"delta": {"content": "yes"}}]}\n\n'
    assert (await answer_to(Act([head, body, b"data:[DONE]\n\n"])))[0] == "yes"


async def test_stream_that_ends_without_done_is_complete_once_it_has_a_finish_reason() -> None:
    text, finished = await answer_to(stream_of(said("yes"), ended()))
    assert text == "yes"
    assert finished.usage.completion_tokens == 1
    assert finished.usage.prompt_tokens == 3


async def test_final_event_without_its_blank_line_counts() -> None:
    head, *events = stream_of(said("yes"), ended()).pieces
    assert (await answer_to(Act([head, b"".join(events).rstrip(b"\n")])))[0] == "yes"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_is_a_channel_of_its_own(field: str) -> None:
    async with engine_for(stream_of(said("", **{field: "hmm"}), said("42"), ended(), DONE)) as (engine, _):
        events = await events_of(engine)
    assert text_of(events, "reasoning") == "hmm"
    assert text_of(events) == "42"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_refusals_that_pass_are_tried_again(status: int) -> None:
    text, _ = await answer_to(refusal(status, {"error": {"message": "later"}}), refusal(status, ""), HELLO)
    assert text == "Hello"


async def test_dropped_connections_before_the_first_token_are_tried_again() -> None:
    head, *_ = HELLO.pieces
    role_only = stream_of({"choices": [{"delta": {"role": "assistant"}}]})
    assert (await answer_to(Act([]), Act([head]), role_only, HELLO))[0] == "Hello"


async def test_attempts_are_bounded_and_the_last_words_of_the_endpoint_are_told() -> None:
    acts = [refusal(503, {"error": {"message": f"overloaded {n}"}}) for n in range(QUICK.attempts + 1)]
    error = await refusal_of(*acts)
    assert isinstance(error, ModelUnavailable)
    assert error.message == "far/m-1: the endpoint answers 503: overloaded 3"


@pytest.mark.parametrize(
    "value", ["0", "0.01", "-5", formatdate(0, usegmt=True), "soon", f"Thu, 01 Jan 2026 00:00:00 +{'9' * 20}"]
)
async def test_retry_after_is_honoured(value: str) -> None:
    assert (await answer_to(refusal(429, "", f"retry-after: {value}"), HELLO))[0] == "Hello"


@pytest.mark.parametrize("value", ["31", formatdate(4e9, usegmt=True)])
async def test_retry_after_that_is_too_long_is_told_at_once(value: str) -> None:
    error = await refusal_of(refusal(429, {"error": {"message": "quota"}}, f"retry-after: {value}"))
    assert error.message == "far/m-1: the endpoint answers 429: quota"


async def test_pause_is_as_long_as_retry_after_says() -> None:
    async with engine_for(refusal(429, "", "retry-after: 0.2"), HELLO) as (engine, _):
        before = trio.current_time()
        await events_of(engine)
        assert trio.current_time() - before >= 0.2


async def test_half_an_answer_is_never_asked_for_again() -> None:
    async with engine_for(stream_of(said("Hel")), HELLO) as (engine, endpoint):
        seen: list[EngineEvent] = []
        request = GenerationRequest(messages=(ChatMessage(role="user", content="hi"),), options=Options())
        async with engine.stream(request) as events:
            seen.append(await anext(events))
            with pytest.raises(ModelUnavailable, match="ended the answer before its end"):
                await anext(events)
        assert text_of(seen) == "Hel"
        assert len(endpoint.requests) == 1


async def test_error_in_mid_stream_is_told() -> None:
    error = await refusal_of(stream_of(said("Hel"), {"error": {"message": "CUDA out of memory", "code": 500}}))
    assert error.message == "far/m-1: the endpoint gave up: CUDA out of memory"


async def test_garbage_in_the_stream_is_an_error() -> None:
    assert "no JSON" in (await refusal_of(stream_of("<html>nope</html>"))).message


async def test_endless_event_is_cut_off() -> None:
    head, *_ = HELLO.pieces
    error = await refusal_of(Act([head, b"data: ", *([b"x" * 65536] * 20)]))
    assert "an event of more than" in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "this model's maximum context length is 8 tokens", "code": "context_length_exceeded"}},
        {"error": {"message": "too long", "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8}},
    ],
)
async def test_prompt_that_does_not_fit_is_a_context_overflow(body: object) -> None:
    error = await refusal_of(refusal(400, body))
    assert isinstance(error, ContextOverflow)
    assert error.data["model"] == "far/m-1"
    if "n_ctx" in str(body):
        assert error.data == {"model": "far/m-1", "prompt_tokens": 9, "n_ctx_tokens": 8}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "no such model"}, "no such model"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"message": "nope\n\x1b[31mred"}, "nope [31mred"),
        ("<html><title>502</title><style>b{}</style><h1>Bad</h1>", "502 Bad"),
        ("x" * 10_000, "x" * 299 + "…"),
    ],
)
async def test_words_of_the_endpoint_are_told_in_one_bounded_line(body: object, message: str) -> None:
    error = await refusal_of(refusal(404, body))
    assert error.message == f"far/m-1: the endpoint answers 404: {message}"


async def test_wrong_key_names_the_variable_and_never_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refusal_of(refusal(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))
    assert error.message == "far/m-1: the endpoint answers 401: Incorrect API key provided: ***"
    assert error.hint == "check FAR_KEY"
    assert KEY not in caplog.text


async def test_redirects_are_not_followed() -> None:
    async with playing(HELLO) as elsewhere:
        error = await refusal_of(refusal(307, "", f"location: {elsewhere.url}/chat/completions"))
        assert elsewhere.requests == []
    assert "redirects" in error.message


@pytest.mark.parametrize(
    ("complaint", "gone", "new"),
    [
        ("Unrecognized request argument supplied: stream_options", "stream_options", {}),
        ("use 'max_completion_tokens' instead", "max_tokens", {"max_completion_tokens": 5}),
    ],
)
async def test_refused_fields_are_left_out(complaint: str, gone: str, new: dict[str, int]) -> None:
    async with engine_for(refusal(400, {"error": {"message": complaint}}), HELLO) as (engine, endpoint):
        assert text_of(await events_of(engine, max_tokens=5)) == "Hello"
    first, second = endpoint.requests
    assert gone in first
    assert second == {**{name: value for name, value in first.items() if name != gone}, **new}


async def test_nobody_listening_is_told_with_the_address() -> None:
    async with playing() as endpoint:
        url = endpoint.url
    async with open_client(QUICK) as client:
        engine = ProviderEngine(ProviderSpec(name="far", base_url=url, model="m-1"), None, client, QUICK)
        with trio.fail_after(PATIENCE_S), pytest.raises(ModelUnavailable, match=url):
            await events_of(engine)


async def test_address_that_is_none_is_told() -> None:
    async with open_client(QUICK) as client:
        engine = ProviderEngine(ProviderSpec(name="far", base_url="localhost:8000", model="m"), None, client, QUICK)
        with trio.fail_after(PATIENCE_S), pytest.raises(ModelUnavailable):
            await events_of(engine)


async def test_silent_endpoint_is_given_up() -> None:
    patience = Patience(silence_s=0.1, attempts=2, first_backoff_s=0.001)
    async with engine_for(stream_of(hold=True), HELLO, patience=patience) as (engine, endpoint):
        with pytest.raises(ModelUnavailable, match=r"said nothing for 0\.1 s"):
            await events_of(engine)
        assert len(endpoint.requests) == 1


async def test_an_endpoint_that_only_keeps_the_connection_open_is_given_up() -> None:
    head, *_ = HELLO.pieces
    async with engine_for(Act([head], beat=b": ping\n\n"), patience=Patience(silence_s=0.1)) as (engine, _):
        with pytest.raises(ModelUnavailable, match=r"said nothing for 0\.1 s"):
            await events_of(engine)


async def test_an_endpoint_that_never_ends_its_headers_is_given_up() -> None:
    async with engine_for(Act([b"HTTP/1.1 200 OK\r\n"], hold=True), patience=Patience(silence_s=0.1)) as (engine, _):
        with pytest.raises(ModelUnavailable, match=r"said nothing for 0\.1 s"):
            await events_of(engine)


async def test_headers_without_end_are_an_error() -> None:
    flood = Act([b"HTTP/1.1 200 OK\r\n", *([b"x-flood: " + b"x" * 8000 + b"\r\n"] * 100)])
    assert isinstance(await refusal_of(*[flood] * QUICK.attempts), ModelUnavailable)


async def test_an_answer_is_complete_although_its_connection_stays_open() -> None:
    patience = Patience(usage_s=0.1, silence_s=60)
    text, finished = await answer_to(stream_of(said("yes"), ended(), hold=True), patience=patience)
    assert (text, finished.finish_reason) == ("yes", "stop")


@pytest.mark.parametrize("last", [{"choices": [], "usage": {"completion_tokens": 7}}, DONE])
async def test_nothing_more_is_waited_for_when_all_is_said(last: Any) -> None:
    patience = Patience(usage_s=60, silence_s=60)
    text, _ = await answer_to(stream_of(said("yes"), ended(), last, hold=True), patience=patience)
    assert text == "yes"


async def test_an_endpoint_that_says_in_each_chunk_that_it_stops_is_heard_to_its_end() -> None:
    chunks = [{"choices": [{"delta": {"content": f"{n} "}, "finish_reason": "stop"}]} for n in range(20)]
    assert (await answer_to(stream_of(*chunks, DONE)))[0] == "".join(f"{n} " for n in range(20))


async def test_signs_of_life_without_words_do_not_go_on_for_ever() -> None:
    head, *_ = HELLO.pieces
    beat = b'data: {"choices": [{"delta": {"content": ""}}]}\n\n'
    async with engine_for(Act([head], beat=beat), patience=Patience(silence_s=0.1)) as (engine, _):
        with pytest.raises(ModelUnavailable, match="said nothing for"):
            await events_of(engine)


def packed(kind: str, *pieces: bytes) -> bytes:
    """The pieces as servers compress them."""
    whole = b"".join(pieces)
    match kind:
        case "gzip":
            return gzip.compress(whole)
        case "a gzip for each":
            return b"".join(map(gzip.compress, pieces)) + bytes(8)
        case "zlib":
            return zlib.compress(whole)
        case "bare":
            made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            return made.compress(whole) + made.flush()
        case _:
            return whole


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("gzip", "gzip"), ("GZIP, identity", "gzip"), ("gzip", "a gzip for each"), ("gzip", "not at all"),
        ("deflate", "zlib"), ("deflate", "bare"), ("deflate", "gzip"), ("none", "not at all"), ("UTF-8", "not at all"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [True, False])
async def test_an_answer_that_was_compressed_unasked_is_read(encoding: str, kind: str, at_once: bool) -> None:
    head, *events = HELLO.pieces
    body = packed(kind, *events)
    head = head.replace(b"\r\n\r\n", f"\r\ncontent-encoding: {encoding}\r\n\r\n".encode())
    pieces = [body] if at_once else [body[at : at + 1] for at in range(len(body))]
    assert (await answer_to(Act([head, *pieces])))[0] == "Hello"


async def test_a_compressed_flood_is_left_at_the_bound() -> None:
    bomb = gzip.compress(b'data: {"choices": [{"delta": {"content": "' + b"x" * (32 << 20))
    head = HELLO.pieces[0].replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")  # type: ignore[index]  # a list
    tracemalloc.start()
    error = await told_at_once(Act([head, bomb]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "an event of more than" in error.message
    assert most < 16 << 20


@pytest.mark.parametrize(
    ("encoding", "what"),
    [("br", "a body encoded as br"), ("gzip, gzip", "as gzip, gzip"), ("deflate", "while decompressing")],
)
async def test_bytes_that_cannot_be_unpacked_are_told_at_once(encoding: str, what: str) -> None:
    error = await told_at_once(refusal(200, b"abcdefgh", f"content-encoding: {encoding}"))
    assert what in error.message


@pytest.mark.parametrize("line", ["content-encoding: br", "content-encoding: gzip", "content-length: 99"])
async def test_a_status_is_told_although_what_comes_with_it_cannot_be_read(line: str) -> None:
    act = Act([f"HTTP/1.1 401 No\r\n{line}\r\nconnection: close\r\n\r\n".encode() + b"\x1f\x8b"])
    error = await told_at_once(act)
    assert error.message.startswith("far/m-1: the endpoint answers 401")


async def test_a_model_without_tools_gets_a_hint() -> None:
    async with engine_for(refusal(400, {"error": "m does not support tools"})) as (engine, _):
        tools = ({"type": "function", "function": {"name": "look"}},)
        request = GenerationRequest(messages=(ChatMessage(role="user", content="hi"),), options=Options(), tools=tools)
        with pytest.raises(ModelUnavailable, match="does not support tools") as caught:
            async with engine.stream(request) as events:
                await anext(events)
    assert "--no-tools" in caught.value.hint


async def test_words_after_the_end_are_still_taken() -> None:
    assert (await answer_to(stream_of(said("ye"), ended(), said("s"), DONE)))[0] == "yes"


@pytest.mark.parametrize("key", ["k\u00e9y", "a\nb", "a\x00b"])
async def test_a_key_that_no_header_may_have_is_told(key: str) -> None:
    async with engine_for(key=key) as (engine, _):
        with pytest.raises(ModelUnavailable, match="characters that no header may have") as caught:
            await events_of(engine)
    assert caught.value.hint == "check FAR_KEY"


async def test_the_line_end_of_a_key_that_was_read_from_a_file_is_not_sent() -> None:
    async with engine_for(HELLO, key=f"{KEY}\n") as (engine, endpoint):
        await events_of(engine)
    assert endpoint.headers[0]["authorization"] == f"bearer {KEY}"


async def test_halves_of_characters_in_the_prompt_are_replaced() -> None:
    async with engine_for(HELLO) as (engine, endpoint):
        request = GenerationRequest(messages=(ChatMessage(role="user", content="a\ud83d"),), options=Options())
        async with engine.stream(request) as events:
            assert text_of([event async for event in events]) == "Hello"
    assert endpoint.requests[0]["messages"][0]["content"] == "a\ufffd"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (stream_of({"object": "error", "message": "boom", "code": 400}), "the endpoint gave up: boom"),
        (stream_of({"detail": [{"msg": "boom"}]}), "the endpoint gave up: boom"),
        (stream_of(said("half"), ended("error")), "the endpoint ended the answer with the reason 'error'"),
        (stream_of(said("half"), ended("safety")), "the endpoint ended the answer with the reason 'safety'"),
        (stream_of(DONE), "the endpoint ended the answer without a word"),
        (stream_of(ended(), DONE), "the endpoint ended the answer without a word"),
        (stream_of({"choices": [{"delta": {"refusal": "I will not."}}]}, ended()), "the model refused: I will not."),
        (stream_of({"result": "hi"}), 'the endpoint sent an event without choices: {"result": "hi"}'),
        (refusal(200, {"error": {"message": "boom"}}), "the endpoint gave up: boom"),
        (refusal(200, "upstream timed out"), "the endpoint sent no event stream: upstream timed out"),
        (refusal(200, '{"choices": [{'), 'the endpoint sent neither JSON nor an event stream: {"choices": [{'),
        (
            refusal(200, "<!DOCTYPE html><title>Open WebUI</title><script>x</script>"),
            "no API at this address, base_url should end in /v1: it answers with a page: Open WebUI",
        ),
        (refusal(429, {"error": {"message": "pay", "code": "insufficient_quota"}}), "the endpoint answers 429: pay"),
        (refusal(501, "no"), "the endpoint answers 501: no"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_told_at_once_in_the_words_of_the_endpoint(act: Act, message: str) -> None:
    assert (await told_at_once(act)).message == f"far/m-1: {message}"


@pytest.mark.parametrize(("act", "known"), [(stream_of(DONE), True), (refusal(501, "no"), None)])
async def test_an_answer_without_a_word_is_told_from_an_endpoint_that_is_none(act: Act, known: bool | None) -> None:
    assert (await told_at_once(act)).data.get("no_answer") is known


async def test_an_event_named_error_is_one() -> None:
    head, *_ = HELLO.pieces
    error = await told_at_once(Act([head, b"event: error\ndata: overloaded\n\n"]))
    assert error.message == "far/m-1: the endpoint gave up: overloaded"


async def test_a_whole_completion_is_an_answer() -> None:
    whole = {"choices": [{"message": {"content": "hi"}, "finish_reason": "length"}], "usage": {"completion_tokens": 9}}
    text, finished = await answer_to(refusal(200, whole, "content-type: application/json"))
    assert (text, finished.finish_reason, finished.usage.completion_tokens) == ("hi", "length", 9)


@pytest.mark.parametrize("end", ["\r", "\r\n"])
async def test_a_byte_order_mark_and_other_line_ends_change_nothing(end: str) -> None:
    head, *events = stream_of(said("hi"), ended(), DONE, end=end).pieces
    assert (await answer_to(Act([head, b"\xef\xbb\xbf" + b"".join(events)])))[0] == "hi"


async def test_with_a_schema_the_fence_around_the_answer_is_left_out() -> None:
    act = stream_of(said("<think>hm</think>```js"), said('on\n{"a": 1}\n`'), said("``"), ended(), DONE)
    assert (await answer_to(act, schema={"type": "object"}))[0] == '{"a": 1}'


async def test_calls_are_told_apart_by_their_ids() -> None:
    chunks = [called("look", {"n": 1}, index=0, id="a"), called("change", '{"n": 2}', index=0, id="b")]
    async with engine_for(stream_of(*chunks, ended("tool_calls"), DONE)) as (engine, _):
        events = await events_of(engine)
    assert [event for event in events if isinstance(event, ModelToolCall)] == [
        ModelToolCall(name="look", arguments='{"n": 1}'), ModelToolCall(name="change", arguments='{"n": 2}'),
    ]  # fmt: skip


async def test_an_endpoint_that_ignores_max_tokens_is_left_when_they_are_reached() -> None:
    flood = stream_of(*(said(f"{n} ") for n in range(500)), hold=True)
    async with engine_for(flood) as (engine, endpoint):
        events = await events_of(engine, max_tokens=3)
        await endpoint.left.wait()
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (text_of(events), finished.finish_reason, finished.usage.completion_tokens) == ("0 1 2 ", "length", 3)


async def test_a_flood_is_left_at_the_bound_of_an_answer() -> None:
    flood = stream_of(*(said("x" * 1000) for _ in range(200)), hold=True)
    async with playing(flood) as endpoint, open_client(QUICK) as client:
        spec = ProviderSpec(name="far", base_url=endpoint.url, model="m-1")
        engine = ProviderEngine(spec, None, client, QUICK, max_answer_bytes=50_000)
        with trio.fail_after(PATIENCE_S):
            events = await events_of(engine)
            await endpoint.left.wait()
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (len(text_of(events)), finished.finish_reason) == (50_000, "length")


@pytest.mark.parametrize("status", [400, 500])
async def test_a_template_without_system_messages_gets_them_in_the_users_first(status: int) -> None:
    complaint = {"error": {"message": "Jinja Exception: System role not supported"}}
    async with engine_for(refusal(status, complaint), HELLO) as (engine, endpoint):
        assert text_of(await events_of(engine)) == "Hello"
    assert endpoint.requests[1]["messages"] == [{"role": "user", "content": "be brief\n\nhi"}]


async def test_an_address_without_v1_is_named_where_nothing_is_found() -> None:
    async with playing(refusal(404, "<h1>404</h1>")) as endpoint, open_client(QUICK) as client:
        spec = ProviderSpec(name="far", base_url=endpoint.url.removesuffix("/v1"), model="m-1")
        with (
            trio.fail_after(PATIENCE_S),
            pytest.raises(ModelUnavailable, match="the endpoint answers 404: 404") as caught,
        ):
            await events_of(ProviderEngine(spec, None, client, QUICK))
    assert caught.value.hint == "base_url should end in /v1"


@pytest.mark.parametrize("host", ["nowhere.invalid", f"{'a' * 64}.invalid", "a..b.invalid"])
async def test_a_host_that_is_not_there_is_told_at_once(host: str) -> None:
    async with open_client(QUICK) as client:
        spec = ProviderSpec(name="far", base_url=f"http://{host}/v1", model="m-1")
        engine = ProviderEngine(spec, None, client, Patience(first_backoff_s=60))
        with trio.fail_after(PATIENCE_S), pytest.raises(ModelUnavailable, match=re.escape(host)):
            await events_of(engine)


async def test_leaving_the_stream_closes_the_connection() -> None:
    async with engine_for(stream_of(said("Hel"), hold=True)) as (engine, endpoint):
        request = GenerationRequest(messages=(ChatMessage(role="user", content="hi"),), options=Options())
        async with engine.stream(request) as events:
            assert await anext(events) == TextDelta(texts=("Hel",))
        await endpoint.left.wait()


async def test_cancelling_the_reader_closes_the_connection() -> None:
    async with engine_for(stream_of(said("Hel"), hold=True)) as (engine, endpoint):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(events_of, engine)
            await until(lambda: endpoint.requests)
            nursery.cancel_scope.cancel()
        await endpoint.left.wait()


async def test_count_is_an_estimate_and_says_so() -> None:
    async with engine_for() as (engine, _):
        count = await engine.count((ChatMessage(role="user", content="x" * 40),))
    assert (count.tokens, count.n_ctx_tokens, count.estimated) == (10, 1 << 30, True)


@pytest.mark.parametrize("status", ["201 Created", "203 Non-Authoritative Information", "206 Partial Content"])
async def test_an_answer_may_come_with_any_status_of_success(status: str) -> None:
    assert (await answer_to(stream_of(said("yes"), ended(), DONE, status=status)))[0] == "yes"


async def test_a_status_without_a_body_is_no_answer() -> None:
    assert (await told_at_once(refusal(204, b""))).message == "far/m-1: the endpoint answers 204"


@pytest.mark.parametrize("status", [425, 520, 524, 529])
async def test_what_stands_in_front_of_an_endpoint_is_asked_again(status: int) -> None:
    assert (await answer_to(refusal(status, "<title>busy</title>"), HELLO))[0] == "Hello"


@pytest.mark.parametrize(
    ("stray", "words"),
    [("Internal Server Error\n", "Internal Server Error"),
     ('{"error": {"message": "out of memory"}}\n', "out of memory"),
     ("<html><title>502 Bad Gateway</title>", "502 Bad Gateway")],
)  # fmt: skip
async def test_what_an_endpoint_says_between_its_events_is_told(stray: str, words: str) -> None:
    head, first = stream_of(said("Well")).pieces
    error = await refusal_of(Act([head, first, stray.encode()]))
    assert words in error.message
    assert (await answer_to(Act([*stream_of(said("Well"), ended()).pieces, stray.encode()])))[0] == "Well"
