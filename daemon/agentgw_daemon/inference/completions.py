"""The OpenAI-compatible chat completions format, sans-io: request bodies, event streams, chunks and errors.

What endpoints send is read leniently (servers differ) and bounded; what is no object where one belongs is
treated as absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentgw.errors import ContextOverflow, ModelUnavailable, RpcError
from agentgw.schema import record
from agentgw.types import Channel, FinishReason, Usage
from agentgw_daemon.inference.engine import Called, Message, Request, as_mapping

# One event is one token with its bookkeeping; a whole answer in one event still fits.
MAX_EVENT_BYTES: Final = 1 << 20
MAX_MESSAGE_CHARS: Final = 300
MAX_CALLS: Final = 128

# Ours → theirs. The last three are not OpenAI's: vLLM and llama-server know them, and they are sent only when
# somebody set them. The two servers spell the repeat penalty differently.
_OPTIONS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("temperature", ("temperature",)),
    ("top_p", ("top_p",)),
    ("seed", ("seed",)),
    ("max_tokens", ("max_tokens",)),
    ("stop", ("stop",)),
    ("top_k", ("top_k",)),
    ("min_p", ("min_p",)),
    ("repeat_penalty", ("repeat_penalty", "repetition_penalty")),
)
# How endpoints name what they refuse about a `response_format`.
_SCHEMA_WORDS: Final = ("response_format", "json_schema", "json_object", "schema", "structured", "grammar")
_OVERFLOW_CODES: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})


class MalformedStream(Exception):
    """The event stream breaks its format."""


@record
class Piece:
    """What one chunk adds."""

    texts: tuple[tuple[Channel, str], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    # Of calls: place, name and arguments, each piece with what it adds.
    calls: tuple[tuple[int, str, str], ...] = ()
    error: Mapping[str, Any] | None = None


@record
class Complaint:
    """An endpoint's error, in its own words: one line, bounded."""

    message: str
    code: str = ""
    prompt_tokens: int | None = None
    n_ctx_tokens: int | None = None


def request_body(model: str, request: Request) -> dict[str, Any]:
    """The JSON body of a streamed completion."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for ours, theirs in _OPTIONS:
        value = getattr(request.options, ours)
        if value is not None:
            body.update(dict.fromkeys(theirs, list(value) if isinstance(value, tuple) else value))
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.schema is not None:
        form = {"name": "answer", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
        # It would cut the JSON.
        body.pop("stop", None)
    return body


def adapted_body(body: Mapping[str, Any], complaint: Complaint) -> dict[str, Any] | None:
    """The body again without what this endpoint refused; None when the refusal is about something else."""
    if "stream_options" in body and "stream_options" in complaint.message:
        return {name: value for name, value in body.items() if name != "stream_options"}
    if "max_tokens" in body and "max_completion_tokens" in complaint.message:
        renamed = {name: value for name, value in body.items() if name != "max_tokens"}
        return {**renamed, "max_completion_tokens": body["max_tokens"]}
    if "response_format" in body and any(word in complaint.message.lower() for word in _SCHEMA_WORDS):
        return _looser(body)
    return None


def _looser(body: Mapping[str, Any]) -> dict[str, Any]:
    """Less of a promise: strict (which wants every property required), a schema, any JSON, nothing but the prompt."""
    form = body["response_format"]
    if form["type"] == "json_schema" and form["json_schema"].get("strict"):
        loose = {name: value for name, value in form["json_schema"].items() if name != "strict"}
        return {**body, "response_format": {**form, "json_schema": loose}}
    if form["type"] == "json_schema":
        return {**body, "response_format": {"type": "json_object"}}
    return {name: value for name, value in body.items() if name != "response_format"}


class CallPieces:
    """The calls of one answer, put together from the pieces in which they are streamed."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[str, list[str]]] = {}

    def add(self, pieces: tuple[tuple[int, str, str], ...]) -> None:
        """A chunk's pieces. Raises MalformedStream where they are more than a whole answer may be."""
        for place, name, arguments in pieces:
            known, texts = self._calls.get(place, ("", []))
            texts.append(arguments)
            self._calls[place] = (name or known, texts)
        if len(self._calls) > MAX_CALLS or sum(len(text) for _, texts in self._calls.values() for text in texts) > (
            MAX_EVENT_BYTES
        ):
            raise MalformedStream("calls of more than 1 MiB")

    def complete(self) -> Iterator[Called]:
        """All of them, in order, when the answer has ended."""
        for _, (name, texts) in sorted(self._calls.items()):
            yield Called(name=name, arguments="".join(texts) or "{}")


class EventStream:
    """Cuts a server-sent event stream into the data of its events, however the bytes were chunked."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields the data of each complete event. Raises MalformedStream when one is too large."""
        self._pending += chunk
        *lines, rest = self._pending.split(b"\n")
        self._pending = rest
        for line in lines:
            yield from self._line(bytes(line).removesuffix(b"\r"))
        if len(self._pending) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise MalformedStream(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def close(self) -> Iterator[bytes]:
        """The stream ended: an event whose closing blank line is missing is still given."""
        yield from self._line(bytes(self._pending).removesuffix(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if not line and self._data:
            yield b"\n".join(self._data)
            self._data.clear()
        elif line.startswith(b"data:"):
            self._data.append(bytes(line[5:]).removeprefix(b" "))


def read_chunk(data: bytes) -> Piece:
    """What one event's data says. Raises MalformedStream."""
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedStream(f"an event that is no JSON: {one_line(data)[:80]}") from None
    if not isinstance(chunk, dict):
        raise MalformedStream("an event that is no object")
    if chunk.get("error"):
        return Piece(error=chunk)
    choices = chunk.get("choices")
    choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
    delta = _object(choice.get("delta"))
    texts: list[tuple[Channel, str]] = []
    for channel, names in (("reasoning", ("reasoning_content", "reasoning")), ("answer", ("content",))):
        text = next((text for name in names if isinstance(text := delta.get(name), str) and text), None)
        if text is not None:
            texts.append((channel, text))  # type: ignore[arg-type]  # a loop variable widens the literals to str
    return Piece(
        texts=tuple(texts), calls=tuple(_call_pieces(delta.get("tool_calls"))),
        finish_reason=_finish_reason(choice), usage=_usage(chunk.get("usage")),
    )  # fmt: skip


def read_complaint(body: bytes, *, secret: str | None) -> Complaint:
    """What an error body says, in any of the usual shapes. `secret` is blotted out: some endpoints quote keys."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return Complaint(message=_clean(one_line(body), secret))
    return complaint_of(_object(parsed), secret=secret)


def complaint_of(parsed: Mapping[str, Any], *, secret: str | None) -> Complaint:
    """The same of a parsed body."""
    error = parsed.get("error", parsed)
    if isinstance(error, str):
        return Complaint(message=_clean(error, secret))
    error = _object(error)
    message = next((m for name in ("message", "detail") if isinstance(m := error.get(name), str)), "")
    codes = [str(error.get(name)) for name in ("code", "type") if error.get(name) is not None]
    code = next((code for code in codes if code in _OVERFLOW_CODES), codes[0] if codes else "")
    return Complaint(
        message=_clean(message or json.dumps(error)[:MAX_MESSAGE_CHARS], secret),
        code=_clean(code, secret),
        prompt_tokens=_count(error.get("n_prompt_tokens")),
        n_ctx_tokens=_count(error.get("n_ctx")),
    )


def error_of(complaint: Complaint, model: str, what: str) -> RpcError:
    """Our error for an endpoint's: `what` says what happened, the endpoint's words follow."""
    message = f"{model}: {what}: {complaint.message}" if complaint.message else f"{model}: {what}"
    if complaint.code in _OVERFLOW_CODES:
        numbers = {"prompt_tokens": complaint.prompt_tokens, "n_ctx_tokens": complaint.n_ctx_tokens}
        known = {name: value for name, value in numbers.items() if value is not None}
        error = ContextOverflow(message)
        error.data.update(known, model=model)
        return error
    return ModelUnavailable(message, model=model, reason=complaint.message or what)


def one_line(text: bytes | str) -> str:
    """Bounded, printable, on one line."""
    decoded = text[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join("".join(c if c.isprintable() else " " for c in decoded).split())


def _clean(text: str, secret: str | None) -> str:
    # Blot before cutting: a key cut in two would no longer be found.
    blotted = text.replace(secret, "***") if secret else text
    line = one_line(blotted)
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"


def _finish_reason(choice: Mapping[str, Any]) -> FinishReason | None:
    given = choice.get("finish_reason")
    if given is None:
        return None
    return "length" if given == "length" else "stop"


def _usage(value: Any) -> Usage | None:
    usage = _object(value)
    if not usage:
        return None
    cached = _object(usage.get("prompt_tokens_details")).get("cached_tokens")
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")) or 0,
        cached_tokens=_count(cached) or 0,
        completion_tokens=_count(usage.get("completion_tokens")) or 0,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _message(message: Message) -> dict[str, Any]:
    """As endpoints take it: arguments of calls are JSON text there."""
    made = as_mapping(message)
    if made.get("tool_calls"):
        made["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in made["tool_calls"]
        ]
    return made


def _call_pieces(value: Any) -> Iterator[tuple[int, str, str]]:
    for place, piece in enumerate(value if isinstance(value, list) else ()):
        index, function = _object(piece).get("index"), _object(_object(piece).get("function"))
        name, arguments = function.get("name"), function.get("arguments")
        yield (
            index if isinstance(index, int) else place,
            name if isinstance(name, str) else "",
            arguments if isinstance(arguments, str) else "",
        )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
