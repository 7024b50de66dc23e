"""JSON-RPC 2.0 from the client's side, sans-io: requests to bytes, bytes to responses and notifications."""

from __future__ import annotations

import json
import re

from agentgw.protocol.errors import ContextOverflow, DaemonUnreachable, UsageError
from agentgw.transport.framing import MAX_INTEGER, MAX_MESSAGE_BYTES, MIN_INTEGER, FrameSplitter, FrameTooLarge, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Final

    Params = Mapping[str, Any] | Sequence[Any]

# The daemon keeps its messages under `limits.max_message_bytes`, which its owner may raise. This one only keeps a
# broken peer from filling our memory.
_MAX_REPLY_BYTES: Final = 64 << 20
_MOST_SAID_BYTES: Final = 200
# Every integer beyond 64 bits has as many digits.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")
_DECODER: Final = json.JSONDecoder()


class NotJsonRpc(DaemonUnreachable):
    """The other side does not speak JSON-RPC. `said` is the beginning of what it sent."""

    def __init__(self, reason: str, frame: bytes) -> None:
        super().__init__(f"what answers is not an agentgw daemon: {reason}", hint="see agentgw doctor")
        self.said = frame[:_MOST_SAID_BYTES].decode("utf-8", "replace")


class Response:
    """The reply to one request: `error` is None and `result` holds, or the other way round."""

    __slots__ = ("error", "id", "result")

    def __init__(self, id: object, result: Any, error: Mapping[str, Any] | None) -> None:  # noqa: A002  # the wire's word
        self.id = id
        self.result = result
        self.error = error


class Notification:
    """Message of the daemon that answers no request."""

    __slots__ = ("method", "params")

    def __init__(self, method: str, params: Mapping[str, Any]) -> None:
        self.method = method
        self.params = params


class Connection:
    """One end of a stream of JSON-RPC messages: numbers the requests and cuts the replies apart."""

    def __init__(self) -> None:
        self._splitter = FrameSplitter(_MAX_REPLY_BYTES)
        self._last_id = 0

    def request(self, method: str, params: Params) -> tuple[int, bytes]:
        """The id and the bytes of a request. Raises ContextOverflow when it is larger than a message may be."""
        self._last_id += 1
        return self._last_id, _frame({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})

    def notification(self, method: str, params: Params) -> bytes:
        """The bytes of a request that wants no answer. Raises as `request` does."""
        return _frame({"jsonrpc": "2.0", "method": method, "params": params})

    def receive(self, data: bytes) -> Iterator[Response | Notification]:
        """Messages that the bytes complete, in order. Raises DaemonUnreachable when they are not JSON-RPC."""
        try:
            for frame in self._splitter.feed(data):
                yield _message(frame)
        except FrameTooLarge as error:
            raise NotJsonRpc(str(error), b"") from None


def _frame(message: dict[str, Any]) -> bytes:
    try:
        frame = encode(message, errors="strict")
        if _LONG_NUMBER.search(frame) and (path := _unfit_number(message["params"])):
            raise UsageError(f"{path} does not fit 64 bits")
    except UnicodeEncodeError:
        # Bytes of the command line that are not UTF-8 come as halves of surrogates. Another name is not sent for them.
        raise UsageError(f"{_not_utf8(message['params'])} is not UTF-8 text", hint="convert or rename it") from None
    except ValueError:
        raise UsageError(f"{_unfit_number(message['params'])} is a number that JSON does not have") from None
    except RecursionError:
        raise UsageError("the request nests too deeply") from None
    size = len(frame) - 1
    if size > MAX_MESSAGE_BYTES:
        raise ContextOverflow(
            f"the request has {size} bytes, more than the {MAX_MESSAGE_BYTES} a message may have",
            hint="send less, or put it into several messages",
        )
    return frame


def _not_utf8(params: Params) -> str:
    """The name of the first parameter that cannot be sent."""
    for name, value in params.items() if isinstance(params, dict) else ():
        try:
            encode(value, errors="strict")
        except UnicodeEncodeError:
            return str(name)
    return "a parameter"


def _unfit_number(value: Any, path: str = "") -> str:
    """Path of a number in the parameters that the daemon does not read: beyond 64 bits, NaN or infinite; or nothing."""
    if isinstance(value, float):
        return path if value - value != 0.0 else ""
    if isinstance(value, int):
        return "" if MIN_INTEGER <= value <= MAX_INTEGER else path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    found = (_unfit_number(item, f"{path}.{name}" if path else str(name)) for name, item in parts)
    return next(filter(None, found), "")


def _value(text: str) -> Any:
    """The value of a JSON text without white space around it. Raises ValueError.

    `json.loads` looks for that white space first, a third of the time that a delta takes here.
    """
    value, end = _DECODER.raw_decode(text)
    return value if end == len(text) else json.loads(text)


def _message(frame: bytes) -> Response | Notification:
    try:
        value = _value(frame.decode("utf-8"))
    except (ValueError, RecursionError) as reason:
        raise NotJsonRpc(str(reason), frame) from None
    if not isinstance(value, dict):
        raise NotJsonRpc("not an object", frame)
    method = value.get("method")
    if method is not None:
        params = value.get("params")
        return Notification(str(method), params if isinstance(params, dict) else {})
    error = value.get("error")
    if error is None and "result" not in value:
        raise NotJsonRpc("neither a result nor an error", frame)
    if error is not None and not isinstance(error, dict):
        raise NotJsonRpc("an error that is not an object", frame)
    return Response(value.get("id"), value.get("result"), error)
