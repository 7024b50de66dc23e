"""Messages of an MCP server, as messages of JSON-RPC that are valid. Does no I/O.

The SDK drops what it cannot read, and the call that waits for it waits to its limit. Here such bytes are mended where
that loses nothing (invalid UTF-8, halves of surrogate pairs, large integers), and otherwise refused with the reason and
the id of the request that they were to answer, as far as it can be told.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from agentgw.transport.framing import MAX_INTEGER, MIN_INTEGER, read_value
from agentgw_daemon.text.valid import valid_text, valid_value
from agentgw_daemon.tools.declared import plain_text
from agentgw_daemon.tools.parameters import nested_deeper

# Twice the wire's: what a result holds becomes text, so that its depth matters only to whoever reads it here.
MAX_DEPTH: Final = 128
# JSON-RPC's own code for what is no JSON. Also of a reply made here: who reads it says that it could not be read.
PARSE_ERROR: Final = -32700
INTERNAL_ERROR: Final = -32603
_QUOTED: Final = 80

McpMessage = dict[str, Any]
RequestId = int | str

_ID: Final = r'"id"\s*:\s*("[^"\\]{0,64}"|-?[0-9]{1,18})\s*'
# Most programs write the id before the result, Node's SDK after it. Anywhere else it may be a word of the result.
_FIRST_ID: Final = re.compile(r'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID)
_LAST_ID: Final = re.compile(_ID + r'(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')
_LAST_CHARS: Final = 200
_ESCAPES: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


class UnreadableMessage(ValueError):
    """Bytes that are no message, or one that cannot be used; the text says why and fits behind "its answer ".

    `request_id` is the request it was to answer, if that can be told. `reply` says that it was meant as an answer.
    """

    def __init__(self, reason: str, request_id: RequestId | None = None, *, reply: bool = False) -> None:
        super().__init__(reason)
        self.request_id = request_id
        self.reply = reply


def read_messages(line: bytes) -> list[McpMessage]:
    """The messages of a line: one, or those of a batch. Raises UnreadableMessage."""
    text = line.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = _value(text)
    except ValueError as error:
        # A line that begins like a message was meant as one; log lines begin otherwise, or are whole.
        reply = text.lstrip().startswith("{")
        raise UnreadableMessage(f"cannot be read: {error}: {_quoted(text)}", _id_in(text), reply=reply) from None
    items = value if isinstance(value, list) else [value]
    return [_message(item, text) for item in items]


def is_reply(message: McpMessage) -> bool:
    """Tells whether it answers a request."""
    return "method" not in message


def unreadable_reply(request_id: RequestId, reason: str) -> McpMessage:
    """A message in place of an answer that cannot be used."""
    error = {"code": PARSE_ERROR, "message": f"its answer {reason}"}
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def reply_in(body: bytes, request_id: RequestId) -> McpMessage:
    """The answer to the request that this body is the response to: over HTTP that is known, whatever id it bears."""
    try:
        replies = [message for message in read_messages(body) if is_reply(message)]
    except UnreadableMessage as error:
        return unreadable_reply(request_id, str(error))
    if not replies:
        return unreadable_reply(request_id, "holds no reply")
    own = [message for message in replies if message["id"] == request_id]
    return {**(own or replies)[0], "id": request_id}


def mended(text: str) -> str:
    """JSON text, of which this may be a part, without escapes that are halves of surrogate pairs."""
    return _ESCAPES.sub(lambda found: "\\ufffd" if found.group(1) else found.group(), text) if "\\u" in text else text


def _value(text: str) -> Any:
    try:
        value = read_value(text, max_depth=MAX_DEPTH)
    except ValueError as strict:
        # Other programs' JSON has the same key twice, and integers of 64 bits without a sign.
        try:
            value = _LENIENT.decode(text)
        except (ValueError, RecursionError):
            raise strict from None
        if nested_deeper(value, MAX_DEPTH):
            raise
    return valid_value(value) if "\\u" in text or not text.isascii() else value


def _integer(digits: str) -> int | float:
    if len(digits) <= 20 and MIN_INTEGER <= (value := int(digits)) <= MAX_INTEGER:
        return value
    return _finite(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value - value != 0.0:
        raise ValueError("a number is too large")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_LENIENT: Final = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_no_constant)


def _id_in(text: str) -> RequestId | None:
    found = _FIRST_ID.match(text) or _LAST_ID.search(text, max(0, len(text) - _LAST_CHARS))
    if found is None:
        return None
    written = found.group(1)
    return _request_id(written[1:-1] if written[0] == '"' else int(written))


def _request_id(value: object) -> RequestId | None:
    """The id as this side writes them: some servers send numbers back as text or as floats."""
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if value.isascii() and value.isdigit() and len(value) < 19:
            return int(value)
        case str():
            return value
        case _:
            return None


def _message(item: object, text: str) -> McpMessage:
    """The item as the SDK takes it. Raises UnreadableMessage."""
    if not isinstance(item, dict):
        raise UnreadableMessage(f"is no message: {_quoted(text)}")
    method = item.get("method")
    if isinstance(method, str):
        return _said(method, item, text)
    request_id = _request_id(item.get("id"))
    error, result = item.get("error"), item.get("result")
    if error is not None and (error or not isinstance(result, dict)):
        return {"jsonrpc": "2.0", "id": request_id, "error": _error(error)}
    if isinstance(result, dict):
        return {"jsonrpc": "2.0", "id": request_id, "result": result}
    if "result" in item:
        raise UnreadableMessage(f"has a result that is no object: {_quoted(text)}", request_id, reply=True)
    if "jsonrpc" not in item:
        # A line of a log, which may have ids of its own.
        raise UnreadableMessage(f"is no message: {_quoted(text)}")
    raise UnreadableMessage(f"has neither a result nor an error: {_quoted(text)}", request_id, reply=True)


def _said(method: str, item: McpMessage, text: str) -> McpMessage:
    """A request or a notification."""
    message: McpMessage = {"jsonrpc": "2.0", "method": method}
    if isinstance(item.get("params"), dict):
        message["params"] = item["params"]
    if item.get("id") is not None:
        if isinstance(item["id"], bool) or not isinstance(item["id"], int | str):
            raise UnreadableMessage(f"is no message: {_quoted(text)}")
        message["id"] = item["id"]
    return message


def _error(error: object) -> dict[str, Any]:
    if isinstance(error, dict):
        code, said = error.get("code"), error.get("message")
        words = said if isinstance(said, str) and said.strip() else json.dumps(error, ensure_ascii=False)
        return {"code": code if type(code) is int else INTERNAL_ERROR, "message": words}
    words = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    return {"code": INTERNAL_ERROR, "message": words}


def _quoted(text: str) -> str:
    shown = plain_text(valid_text(text[: 2 * _QUOTED]), _QUOTED)
    return f'"{shown}"' if shown else "it is blank"
