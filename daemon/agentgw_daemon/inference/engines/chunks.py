"""Answer of an OpenAI-compatible endpoint as values: a chunk of a stream, or a whole completion. Pure.

Endpoints differ, so many forms are read; but what is not understood is never taken for nothing. Any JSON value becomes
a `ChunkContent` or raises: `GaveUp` where it is an error, `NotUnderstood` where it is anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Channel, FinishReason, Usage
from agentgw_daemon.inference.engines.complaints import count_of, words_of

_REASONING: Final = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "reasoning_details")
_ARGUMENTS: Final = ("arguments", "parameters", "input")
# Reasons of endpoints and of what they are in front of. "End" says that all is said, by whatever name.
_ENDS: Final = frozenset({
    "stop", "eos", "eos_token", "end", "end_turn", "end_of_text", "stop_sequence", "stop_token", "complete",
    "completed", "done", "finish", "finished", "normal", "tool_calls", "tool_call", "tool_use", "tools",
    "function_call",
})  # fmt: skip
_CUTS: Final = frozenset({"length", "max_tokens", "max_length", "max_output_tokens", "model_length", "token_limit"})
# Parts of a content that are no words: where a word came from, and thoughts that only the endpoint can read.
_WORDLESS: Final = frozenset({"reference", "citation", "citations", "redacted_thinking", "signature"})
# Of a piece without choices; the form of the Responses API, and of what stands in front of endpoints.
_FAILED: Final = frozenset({"failed", "failure", "error", "incomplete", "cancelled", "canceled", "expired"})


class NotUnderstood(Exception):
    """A chunk in none of the forms that are read; the text says what it was, and `came` is it."""

    def __init__(self, what: str, came: Any = None) -> None:
        super().__init__(what)
        self.came = came


class GaveUp(Exception):
    """The endpoint says that it failed. `said` is the JSON in which it does."""

    def __init__(self, said: Any) -> None:
        super().__init__(words_of(said))
        self.said = said


@record
class CallPiece:
    """The part of a call that a chunk adds. `place` is its place in the chunk's list, `index` and `key` what
    names the call.
    """

    place: int
    index: int | None
    key: str
    name: str
    arguments: str
    # Not a piece of the arguments' text but all of them.
    whole: bool = False


@record
class ChunkContent:
    """Content that one chunk adds."""

    texts: tuple[tuple[Channel, str], ...] = ()
    calls: tuple[CallPiece, ...] = ()
    # The model's words of why it does not answer.
    refusal: str = ""
    finish_reason: FinishReason | None = None
    # An end that is no end of an answer, in the endpoint's word for it.
    failure: str = ""
    usage: Usage | None = None


def index_in(value: Any) -> int | None:
    """The index of the answer, by the first piece that has choices; None where this one has none.

    It is 0, but for endpoints that count from 1 or number the requests of a batch.
    """
    choices = value.get("choices") if isinstance(value, dict) else None
    found = [_index_of(one) for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    return (0 if 0 in found else found[0]) if found else None


def read_piece(value: Any, index: int = 0) -> ChunkContent:
    """The content that a chunk or a completion has of the choice of this index. Raises NotUnderstood and GaveUp."""
    if not isinstance(value, dict):
        if isinstance(value, list) and words_of(value):
            raise GaveUp(value)
        raise NotUnderstood("no object", value)
    if value.get("error") or value.get("errors") or value.get("object") == "error" or value.get("type") == "error":
        raise GaveUp(value)
    choices, usage = value.get("choices"), _usage(value.get("usage"))
    if not choices and (words_of(value) or _has_failed(value)):
        raise GaveUp(value)
    if choices is None:
        if usage is None and not _is_nothing(value):
            raise NotUnderstood("an event without choices", value)
        return ChunkContent(usage=usage)
    if not isinstance(choices, list):
        raise NotUnderstood("choices that are no list", choices)
    # Others are further answers, for which nobody asked.
    own = [one for one in choices if not isinstance(one, dict) or _index_of(one) == index]
    return _piece(own[0], usage) if own else ChunkContent(usage=usage)


def _index_of(choice: Mapping[str, Any]) -> int:
    match choice.get("index"):
        case int(index):
            return int(index)
        case float(index) if index.is_integer():
            return int(index)
        case str(text) if text.isascii() and text.isdigit() and len(text) < 19:
            return int(text)
        case _:
            return 0


def _has_failed(value: Mapping[str, Any]) -> bool:
    """Tells whether the piece says so, without words and in the place of choices."""
    status = value.get("status")
    return (
        (isinstance(status, str) and status.lower() in _FAILED)
        or value.get("success") is False
        or value.get("ok") is False
    )


def _is_nothing(value: Mapping[str, Any]) -> bool:
    """Tells whether the piece says no more than that the endpoint is there."""
    return (
        value.keys() <= {"choices", "usage"}
        or value.get("type") == "ping"
        or value.get("object") == "chat.completion.chunk"
    )


def _piece(choice: Any, usage: Usage | None) -> ChunkContent:
    if not isinstance(choice, dict):
        raise NotUnderstood("a choice that is no object", choice)
    if choice.get("error"):
        raise GaveUp(choice)
    said = choice.get("delta")
    if said is None or (_says_nothing(said) and choice.get("message") is not None):
        said = choice.get("message")
    if said is None:
        # The older completions have their text here.
        said = {"content": choice.get("text")}
    if not isinstance(said, dict):
        raise NotUnderstood("a delta that is no object", said)
    if said.get("error"):
        raise GaveUp(said)
    content = said.get("content")
    # The usual form first: there is one of it for each token.
    parts: list[tuple[Any, str]] = (
        [("answer", content)] if content and isinstance(content, str) else list(_content(content))
    )
    reason, failure = _finish(choice.get("finish_reason"))
    return ChunkContent(
        texts=(*_reasoning(said), *((channel, text) for channel, text in parts if channel != "refusal")),
        calls=(*_calls(said.get("tool_calls")), *_legacy_call(said.get("function_call"))),
        refusal=_refusal(said.get("refusal")) + "".join(text for channel, text in parts if channel == "refusal"),
        finish_reason=reason, failure=failure, usage=usage,
    )  # fmt: skip


def _says_nothing(said: Any) -> bool:
    return isinstance(said, dict) and not any(one for name, one in said.items() if name != "role")


def _reasoning(said: Mapping[str, Any]) -> Iterator[tuple[Channel, str]]:
    # The same thought comes under two names from endpoints that change from one to the other.
    for name in _REASONING:
        if (thought := said.get(name)) and (text := "".join(_thought(thought))):
            yield "reasoning", text
            return


def _content(value: Any) -> Iterator[tuple[Any, str]]:
    """Texts with their channels, and "refusal" for the words of one."""
    match value:
        case None | "":
            return
        case str():
            yield "answer", value
        case dict():
            yield from _part(value)
        case list():
            for one in value:
                if isinstance(one, str):
                    yield "answer", one
                elif isinstance(one, dict):
                    yield from _part(one)
                elif one is not None:
                    raise NotUnderstood("a part of the content that is no object", one)
        case _:
            raise NotUnderstood("a content that is no text", value)


def _part(part: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    kind = part.get("type")
    name = kind.lower() if isinstance(kind, str) else ""
    if name in _WORDLESS:
        return
    if "thinking" in name or "reasoning" in name or ("thinking" in part and not name):
        yield "reasoning", "".join(_thought(part))
        return
    if name == "refusal" or (not name and "refusal" in part):
        yield "refusal", _refusal(part.get("refusal"))
        return
    text = part.get("text", part.get("content"))
    if isinstance(text, dict):
        text = text.get("value")
    if not isinstance(text, str):
        raise NotUnderstood("a part of the content that is no text", part)
    if text:
        yield "answer", text


def _thought(value: Any, depth: int = 0) -> Iterator[str]:
    """The text of a thought, which may be a list of parts; what has none is nobody's to read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 4:
        for one in value:
            yield from _thought(one, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        names = ("thinking", "text", "reasoning", "summary", "content")
        yield from _thought(next((value[name] for name in names if value.get(name)), None), depth + 1)


def _refusal(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return words_of(value) or _json(value)


def _finish(value: Any) -> tuple[FinishReason | None, str]:
    """The reason as ours, or the endpoint's word for an end that is none."""
    if not value:
        # Some write an empty one into every chunk.
        return None, ""
    word = value.lower() if isinstance(value, str) else ""
    if word in _ENDS:
        return "stop", ""
    if word in _CUTS:
        return "length", ""
    return None, value if isinstance(value, str) else _json(value)


def _calls(value: Any) -> Iterator[CallPiece]:
    if value is None:
        return
    pieces = [value] if isinstance(value, dict) else value
    if not isinstance(pieces, list):
        raise NotUnderstood("calls that are no list", value)
    for place, piece in enumerate(pieces):
        if not isinstance(piece, dict):
            raise NotUnderstood("a call that is no object", piece)
        function = piece.get("function")
        index, key = piece.get("index"), piece.get("id")
        made = _call_piece(
            function if isinstance(function, dict) else piece, place=place,
            index=index if isinstance(index, int) and not isinstance(index, bool) else None,
            key=str(key) if isinstance(key, str | int) else "",
        )  # fmt: skip
        if made.name or made.arguments or made.key:
            yield made


def _legacy_call(value: Any) -> Iterator[CallPiece]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise NotUnderstood("a call that is no object", value)
    yield _call_piece(value, place=0, index=0, key="")


def _call_piece(function: Mapping[str, Any], *, place: int, index: int | None, key: str) -> CallPiece:
    name = function.get("name")
    if not isinstance(name, str | None):
        raise NotUnderstood("a call whose name is no text", name)
    given = next((function[one] for one in _ARGUMENTS if function.get(one) is not None), "")
    text = given if isinstance(given, str) else _json(given)
    return CallPiece(place=place, index=index, key=key, name=name or "", arguments=text, whole=text is not given)


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, dict) or not value:
        return None
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt_tokens=count_of(value.get("prompt_tokens")) or 0,
        cached_tokens=count_of(cached) or 0,
        completion_tokens=count_of(value.get("completion_tokens")) or 0,
    )


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        raise NotUnderstood("something that nests too deeply") from None
