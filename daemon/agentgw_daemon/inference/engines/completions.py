"""Requests to an OpenAI-compatible endpoint: a chat completion's body, and a plainer one where it refuses. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentgw_daemon.inference.engine import GenerationRequest, PromptMessage, as_mapping
from agentgw_daemon.inference.engines.complaints import Complaint
from agentgw_daemon.text.valid import valid_text

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
# Names that endpoints have for what they refuse about a `response_format`.
_SCHEMA_WORDS: Final = ("response_format", "json_schema", "json_object", "schema", "structured", "grammar")


def request_body(model: str, request: GenerationRequest) -> dict[str, Any]:
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


def encoded(body: Mapping[str, Any]) -> bytes:
    """The body as it is sent; what an old session holds of halves of surrogate pairs is replaced."""
    return valid_text(json.dumps(body, ensure_ascii=False, allow_nan=False)).encode()


def adapted_body(body: Mapping[str, Any], complaint: Complaint) -> dict[str, Any] | None:
    """The body again without what this endpoint refused; None when the refusal is about something else."""
    said = complaint.message.lower()
    if "stream_options" in body and "stream_options" in complaint.message:
        return {name: value for name, value in body.items() if name != "stream_options"}
    if "max_tokens" in body and "max_completion_tokens" in complaint.message:
        renamed = {name: value for name, value in body.items() if name != "max_tokens"}
        return {**renamed, "max_completion_tokens": body["max_tokens"]}
    if "response_format" in body and any(word in said for word in _SCHEMA_WORDS):
        return _looser(body)
    if "role" in said and body["messages"][0]["role"] == "system" and len(body["messages"]) > 1:
        # Templates such as Gemma's know no system message.
        return {**body, "messages": _folded(body["messages"])}
    return None


def _folded(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with what the system says before what the user says first."""
    system, first, *rest = messages
    if first["role"] != "user":
        return [{**system, "role": "user"}, first, *rest]
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def _looser(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with less of a promise: strict (which wants every property required), a schema, any JSON, only
    the prompt.
    """
    form = body["response_format"]
    if form["type"] == "json_schema" and form["json_schema"].get("strict"):
        loose = {name: value for name, value in form["json_schema"].items() if name != "strict"}
        return {**body, "response_format": {**form, "json_schema": loose}}
    if form["type"] == "json_schema":
        return {**body, "response_format": {"type": "json_object"}}
    return {name: value for name, value in body.items() if name != "response_format"}


def _message(message: PromptMessage) -> dict[str, Any]:
    """The message as endpoints take it: arguments of calls are JSON text there."""
    made = as_mapping(message)
    if made.get("tool_calls"):
        made["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in made["tool_calls"]
        ]
    return made
