"""Structured output: what a schema asks of a prompt, and whether an answer meets it.

A local model is held to the schema token by token, so its answer fails only where it was cut. An endpoint's may fail
in any way, and so may the words of `echo`: every answer is looked at here before anyone is told that it is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw.protocol.errors import InvalidParams, SchemaUnmet
from agentgw.protocol.types import ChatMessage, FinishReason
from agentgw_daemon.inference.structured_output import formats, pattern
from agentgw_daemon.inference.structured_output.compiler import check_formats
from agentgw_daemon.inference.structured_output.schema_reader import SchemaError
from agentgw_daemon.inference.structured_output.shape import shape_of

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

# Longer than any context in use; validating it takes seconds.
MAX_TEXT_CHARACTERS: Final = 4 << 20
# The part of the answer that an error carries. The whole of it is in the session.
MAX_ERROR_TEXT_CHARACTERS: Final = 2000
_INSTRUCTION: Final = "Answer with JSON only, on one line, like"
# Parts that no grammar needs are not read before: what an endpoint's answer makes of them shows only here.
_SCHEMA_FAULTS: Final = (pattern.PatternError, AttributeError, LookupError, TypeError)
# Both take a while with what a hostile client sends; one at a time is enough for anybody else.
_limiter: Final = trio.CapacityLimiter(1)


async def check(schema: Mapping[str, Any]) -> None:
    """Raises InvalidParams for a schema that cannot be kept, with the path in it."""
    try:
        await trio.to_thread.run_sync(check_formats, schema, limiter=_limiter)
    except SchemaError as error:
        raise InvalidParams(f"Invalid params: schema {error}", path=f"schema{error.path}", reason=str(error)) from None


def instructed(system: str, schema: Mapping[str, Any]) -> str:
    """The system text with what the answer has to be: small models need to see it."""
    shape = shape_of(schema)
    # A schema too long to be shown would take the prompt's room; a local model is held to it all the same.
    instruction = "Answer with JSON only, on one line." if shape is None else f"{_INSTRUCTION} {shape}"
    return f"{system}\n\n{instruction}" if system else instruction


def instructed_messages(messages: tuple[ChatMessage, ...], schema: Mapping[str, Any]) -> tuple[ChatMessage, ...]:
    """The messages with that instruction: in the first system message, or in one before all."""
    first, *rest = messages
    if first.role == "system":
        return (ChatMessage(role="system", content=instructed(first.content, schema)), *rest)
    return (ChatMessage(role="system", content=instructed("", schema)), *messages)


async def verify(text: str, finish_reason: FinishReason, schema: Mapping[str, Any]) -> None:
    """Raises SchemaUnmet for an answer that was cut, is no JSON or does not meet the schema."""
    if finish_reason == "cancelled":
        # A cancelled turn is cancelled; nobody waits for its answer.
        return
    if finish_reason != "stop":
        raise _unmet(text, "the answer was cut at the limit of tokens", hint="raise max_tokens, or ask for less")
    path, reason = await trio.to_thread.run_sync(partial(_fault, text, schema), limiter=_limiter)
    if reason:
        raise _unmet(text, reason, path=path)


def _unmet(text: str, reason: str, *, path: str = "#", hint: str = "") -> SchemaUnmet:
    where = "" if path == "#" else f" at {path}"
    return SchemaUnmet(
        f"the answer does not meet the schema{where}: {reason}",
        hint=hint, path=path, reason=reason, text=text[:MAX_ERROR_TEXT_CHARACTERS],
    )  # fmt: skip


def _fault(text: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """The place and the reason why the text does not meet the schema; no reason if it does."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return "#", f"it has more than {MAX_TEXT_CHARACTERS} characters"
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        error = next(iter(_validator(schema).iter_errors(value)), None)
    except RecursionError:
        return "#", "it nests too deeply"
    except ValueError as failed:
        return "#", f"it is no JSON: {failed}"
    except _SCHEMA_FAULTS as failed:
        return "#", f"the schema is wrong in a part that was taken to be unused: {failed}"
    if error is None:
        return "#", ""
    path = "#" + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
    return path[:300], error.message if len(error.message) <= 300 else error.message[:299] + "…"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _validator(schema: Mapping[str, Any]) -> Validator:
    # Imported when first needed: a fifth of a second.
    from jsonschema import Draft202012Validator, ValidationError, validators
    from referencing import Registry

    def matches(_validator: Validator, wanted: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
        # The `re` module may take for ever; it is also not the dialect that JSON Schema names.
        if isinstance(value, str) and not _matcher(wanted).matches(value):
            yield ValidationError(f"{value[:80]!r} does not match {wanted[:80]!r}")

    def is_of(_validator: Validator, wanted: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
        if not formats.holds(wanted, value):
            yield ValidationError(f"{str(value)[:80]!r} is no {wanted[:80]}")

    made = validators.extend(Draft202012Validator, {"pattern": matches, "format": is_of})
    # An empty registry: nothing is fetched, whatever a reference names.
    validator: Validator = made(schema, registry=Registry())
    return validator


@lru_cache(maxsize=64)
def _matcher(wanted: str) -> pattern.Matcher:
    return pattern.Matcher(pattern.parse(wanted))
