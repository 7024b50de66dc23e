from __future__ import annotations

import json

import pytest

from agentgw.protocol.errors import AgentgwError, ConfigRefused, DaemonUnreachable
from agentgw.remote.address import parse_address
from agentgw.remote.handshake import Handshake

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nUpgrade: agentgw-rpc\r\n\r\n"


def handshake(url: str = "http://127.0.0.1:8080/x", key: str = "") -> Handshake:
    return Handshake(parse_address(url), key)


def refusal(status: int, name: str, message: str, **more: str) -> bytes:
    body = json.dumps({"error": {"code": status, "name": name, "message": message, **more}}).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def test_the_request_names_host_key_and_protocol() -> None:
    assert handshake(key="k").request == (
        b"GET /x/rpc HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer k\r\n"
        b"Connection: Upgrade\r\nUpgrade: agentgw-rpc\r\n\r\n"
    )
    assert b"Authorization" not in handshake().request


def test_a_default_port_is_left_out_of_the_host() -> None:
    assert b"\r\nHost: gw.example\r\n" in handshake("https://gw.example").request


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_right_answer_is_taken_however_it_is_cut(size: int) -> None:
    one = handshake()
    pieces = [SWITCHED[i : i + size] for i in range(0, len(SWITCHED), size)]
    assert [one.feed(piece) for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert one.feed(pieces[-1]) == b""


def test_what_follows_the_answer_is_given() -> None:
    assert handshake().feed(SWITCHED + b"{}\n") == b"{}\n"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refusal(401, "KeyRefused", "the key is missing or wrong"), ConfigRefused, "AGENTGW_API_KEY"),
        (refusal(403, "HostRefused", "the host x is none", hint="allow it"), DaemonUnreachable, "allow it"),
        (refusal(429, "Overloaded", "256 event streams are open"), DaemonUnreachable, "256 event streams"),
        (b"HTTP/1.1 301 X\r\nLocation: http://evil\r\ncontent-length: 0\r\n\r\n", DaemonUnreachable, "elsewhere"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", DaemonUnreachable, "no agentgw daemon"),
        (b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n", DaemonUnreachable, "no agentgw daemon"),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", DaemonUnreachable, "HTTP 101"),
        (b"HTTP/1.1 502 X\r\n\r\n", DaemonUnreachable, "HTTP 502"),
        (b"HTTP/1.1\r\n\r\n", DaemonUnreachable, "HTTP "),
        (b"SSH-2.0-OpenSSH_9.2\r\n", DaemonUnreachable, "not answer as HTTP"),
        (b"", DaemonUnreachable, "without an answer"),
        (b"HTTP/1.1 200", DaemonUnreachable, "without an answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, DaemonUnreachable, "not answer as HTTP"),
        (b"HTTP/1.1 400 X\r\ncontent-length: 9\r\n\r\n[" + b"[" * 8, DaemonUnreachable, "HTTP 400"),
        (b"HTTP/1.1 400 X\r\ncontent-length: 4\r\n\r\nnull", DaemonUnreachable, "HTTP 400"),
    ],
)
def test_any_other_answer_is_told(answer: bytes, kind: type[AgentgwError], said: str) -> None:
    one = handshake()
    with pytest.raises(kind) as caught:
        if one.feed(answer) is None:
            one.feed(b"")
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert "evil" not in caught.value.message


def test_a_long_speech_is_cut() -> None:
    with pytest.raises(DaemonUnreachable) as caught:
        handshake().feed(refusal(403, "HostRefused", "x" * 20_000, hint="y" * 20_000))
    assert len(f"{caught.value.message}{caught.value.hint}") < 1200
