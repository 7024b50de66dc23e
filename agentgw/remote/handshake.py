"""The request that turns an HTTP connection into one of the socket's wire, and its answer. Does no I/O.

    GET /rpc HTTP/1.1                        HTTP/1.1 101 Switching Protocols
    Connection: Upgrade              ──>     Connection: Upgrade
    Upgrade: agentgw-rpc                     Upgrade: agentgw-rpc

Behind the empty line both sides speak frames, as on the socket (RFC 9110, section 7.8).
"""

from __future__ import annotations

import json

from agentgw.protocol.errors import ConfigRefused, DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from agentgw.remote.address import RemoteAddress

PROTOCOL_NAME: Final = "agentgw-rpc"
# The gateway takes 16 KiB of a head; a refusal is a sentence and a hint.
_MOST_BYTES: Final = 64 << 10
# Of these; whoever answers may be anybody, and the terminal is the user's.
_MOST_WORDS_CHARS: Final = 500


class Handshake:
    """One attempt: `request` goes out, `feed` takes what comes until it tells that it is done."""

    def __init__(self, address: RemoteAddress, key: str) -> None:
        self._address = address
        self._said = b""
        key_line = f"Authorization: Bearer {key}\r\n" if key else ""
        #: The bytes to send.
        self.request = (
            f"GET {address.path}/rpc HTTP/1.1\r\nHost: {address.authority}\r\n{key_line}"
            f"Connection: Upgrade\r\nUpgrade: {PROTOCOL_NAME}\r\n\r\n"
        ).encode("ascii")

    def feed(self, data: bytes) -> bytes | None:
        """The bytes behind the answer once it is whole, None before. Raises DaemonUnreachable for any other answer.

        No data: the other side has ended.
        """
        self._said += data
        head, ended, rest = self._said.partition(b"\r\n\r\n")
        if not self._said.startswith(b"HTTP/1."[: len(self._said)]) or len(self._said) > _MOST_BYTES:
            raise self._failed("it does not answer as HTTP does")
        if not ended:
            if not data:
                raise self._failed("it ended the connection without an answer")
            return None
        lines = head.decode("latin-1").split("\r\n")
        status = lines[0].split(" ")[1] if lines[0].count(" ") else ""
        headers = {name.strip().lower(): text.strip() for name, _, text in (line.partition(":") for line in lines[1:])}
        if status == "101" and headers.get("upgrade", "").lower() == PROTOCOL_NAME:
            return rest
        length = headers.get("content-length", "")
        wanted = int(length) if length.isascii() and length.isdigit() and len(length) < 7 else 0
        if data and len(rest) < wanted:
            return None
        raise self._refused(status, headers, rest)

    def _refused(self, status: str, headers: dict[str, str], body: bytes) -> DaemonUnreachable | ConfigRefused:
        message, hint = _error_of(body)
        match status:
            case "401":
                return ConfigRefused(
                    f"{self._address}: {message or 'the key is missing or wrong'}",
                    hint="put the daemon's key into AGENTGW_API_KEY, or name a file with it in AGENTGW_API_KEY_FILE",
                )
            case "301" | "302" | "303" | "307" | "308":
                return self._failed("it sends the request elsewhere", "set AGENTGW_URL to the address that is meant")
            case _ if message:
                return self._failed(message, hint)
            case "404" | "405" | "426" | "200":
                return self._failed(
                    f"HTTP {status}: no agentgw daemon, or an older one, or a proxy that passes no upgrades on",
                    "see docs/remote.md",
                )
            case _:
                return self._failed(f"HTTP {status}")

    def _failed(self, reason: str, hint: str = "") -> DaemonUnreachable:
        return DaemonUnreachable(f"{self._address}: {reason}", hint=hint or "is it the address of an agentgw daemon?")


def _error_of(body: bytes) -> tuple[str, str]:
    """Message and hint of the gateway's own refusals."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"])[:_MOST_WORDS_CHARS], str(error.get("hint", ""))[:_MOST_WORDS_CHARS]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", ""
