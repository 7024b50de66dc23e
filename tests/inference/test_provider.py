"""The engine behind an OpenAI-compatible endpoint, against a real server that misbehaves."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
import trio

from agentgw.errors import ContextOverflow, ModelUnavailable, RpcError
from agentgw.types import ChatMessage, Options
from agentgw_daemon.inference.engine import Delta, EngineEvent, Finished, Request
from agentgw_daemon.inference.provider import Patience, ProviderEngine, open_client
from agentgw_daemon.inference.spec import ProviderSpec
from tests.inference.endpoint import Act, Endpoint, ended, playing, refusal, said, stream_of

pytestmark = pytest.mark.anyio

LIMIT_S = 10
KEY = "sk-very-secret-0123456789"
DONE = "[DONE]"
HELLO = stream_of(said("Hel"), said("lo"), ended(), DONE)
QUICK = Patience(first_backoff_s=0.001, silence_s=5)


@asynccontextmanager
async def engine_for(
    *acts: Act, key: str | None = KEY, patience: Patience = QUICK
) -> AsyncIterator[tuple[ProviderEngine, Endpoint]]:
    with trio.fail_after(LIMIT_S):
        async with playing(*acts) as endpoint, open_client(patience) as client:
            spec = ProviderSpec(name="far", base_url=endpoint.url, api_key_env="FAR_KEY" if key else None, model="m-1")
            yield ProviderEngine(spec, key, client, patience), endpoint


async def events_of(engine: ProviderEngine, **options: object) -> list[EngineEvent]:
    messages = (ChatMessage(role="system", content="be brief"), ChatMessage(role="user", content="hi"))
    request = Request(messages=messages, options=Options(**options))  # type: ignore[arg-type]  # by name
    async with engine.stream(request) as events:
        return [event async for event in events]


def text_of(events: list[EngineEvent], channel: str = "answer") -> str:
    return "".join(t for e in events if isinstance(e, Delta) and e.channel == channel for t in e.texts)


async def answer_to(*acts: Act) -> tuple[str, Finished]:
    async with engine_for(*acts) as (engine, _):
        events = await events_of(engine)
    finished = events[-1]
    assert isinstance(finished, Finished)
    return text_of(events), finished


async def refusal_of(*acts: Act) -> RpcError:
    async with engine_for(*acts) as (engine, _):
        with pytest.raises(RpcError) as caught:
            await events_of(engine)
    assert KEY not in str(caught.value.to_wire())
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


@pytest.mark.parametrize("value", ["0", "0.01", formatdate(0, usegmt=True), "soon"])
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
        request = Request(messages=(ChatMessage(role="user", content="hi"),), options=Options())
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
        ("<html>502</html>", "<html>502</html>"),
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
        with trio.fail_after(LIMIT_S), pytest.raises(ModelUnavailable, match=url):
            await events_of(engine)


async def test_address_that_is_none_is_told() -> None:
    async with open_client(QUICK) as client:
        engine = ProviderEngine(ProviderSpec(name="far", base_url="localhost:8000", model="m"), None, client, QUICK)
        with trio.fail_after(LIMIT_S), pytest.raises(ModelUnavailable):
            await events_of(engine)


async def test_silent_endpoint_is_given_up() -> None:
    patience = Patience(silence_s=0.1, attempts=2, first_backoff_s=0.001)
    async with engine_for(stream_of(hold=True), stream_of(hold=True), patience=patience) as (engine, endpoint):
        with pytest.raises(ModelUnavailable, match="ReadTimeout"):
            await events_of(engine)
        assert len(endpoint.requests) == 2


async def test_leaving_the_stream_closes_the_connection() -> None:
    async with engine_for(stream_of(said("Hel"), hold=True)) as (engine, endpoint):
        request = Request(messages=(ChatMessage(role="user", content="hi"),), options=Options())
        async with engine.stream(request) as events:
            assert await anext(events) == Delta(texts=("Hel",))
        await endpoint.left.wait()


async def test_cancelling_the_reader_closes_the_connection() -> None:
    async with engine_for(stream_of(said("Hel"), hold=True)) as (engine, endpoint):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(events_of, engine)
            while not endpoint.requests:
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        await endpoint.left.wait()


async def test_count_is_an_estimate_and_says_so() -> None:
    async with engine_for() as (engine, _):
        count = await engine.count((ChatMessage(role="user", content="x" * 40),))
    assert (count.tokens, count.n_ctx_tokens, count.estimated) == (10, 1 << 30, True)
