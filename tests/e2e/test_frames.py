"""Frames that are not JSON-RPC, or barely: every one gets its answer and the daemon lives on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.home import Home, rss_bytes, until
from tests.e2e.wire import Wire
from tests.patience import Stopwatch
from tests.server.harness import PONG

pytestmark = pytest.mark.e2e

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PARSE, INVALID, NO_METHOD, PARAMS = -32700, -32600, -32601, -32602

# Each frame with the code of its answer.
ODD_FRAMES: list[tuple[bytes, int]] = [
    (b"{", PARSE),
    (b"nonsense", PARSE),
    (b'{"jsonrpc": "2.0", "method": "ping", "params": "bar", "id": 1', PARSE),
    (b"\xff\xfe{\x00}\x00", PARSE),
    (b"\xef\xbb\xbf" + json.dumps(PING).encode(), PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":NaN}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":-Infinity}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":1e999}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":' + b"9" * 5000 + b"}", PARSE),
    (b'{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"\\ud800"}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"\xc3\x28"}', PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"p\x00ing"}', PARSE),
    (b"\x00", PARSE),
    (b"[" * 100_000 + b"]" * 100_000, INVALID),
    (b'{"a":' * 65 + b"1" + b"}" * 65, INVALID),
    (b"[]", INVALID),
    (b"1", INVALID),
    (b'"ping"', INVALID),
    (b"null", INVALID),
    (b"{}", INVALID),
    (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', INVALID),
    (b'{"jsonrpc":"2.0","id":1,"method":1}', INVALID),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', INVALID),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', INVALID),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}', INVALID),
    (b'{"jsonrpc":"2.0","id":1,"method":"foobar"}', NO_METHOD),
    (b'{"jsonrpc":"2.0","id":1,"method":"__init__"}', NO_METHOD),
    (b'{"jsonrpc":"2.0","id":1,"method":"turn.show"}', PARAMS),
    (b'{"jsonrpc":"2.0","id":1,"method":"turn.show","params":{"turn_id":7}}', PARAMS),
    (b'{"jsonrpc":"2.0","id":1,"method":"turn.show","params":{"turn_id":"t","x":1}}', PARAMS),
    (b'{"jsonrpc":"2.0","id":1,"method":"turn.list","params":{"limit":99999999}}', PARAMS),
    (b'{"jsonrpc":"2.0","id":1,"method":"turn.list","params":[1,2,3,4,5,6,7,8,9]}', PARAMS),
]


def test_every_odd_frame_gets_its_answer_on_a_connection_that_goes_on(shared_home: Home) -> None:
    shared_home.daemon()
    with shared_home.connect() as wire:
        for frame, code in ODD_FRAMES:
            wire.send_bytes(frame + b"\n")
            answer = wire.receive()
            assert (frame[:80], answer.get("error", {}).get("code")) == (frame[:80], code)
            assert "Traceback" not in json.dumps(answer)
            wire.send(PING)
            assert wire.receive() == PONG


@pytest.mark.parametrize("request_id", [0, 1.5, "", "é", -1, None, 2**63 - 1])
def test_an_id_comes_back_as_it_was(shared_home: Home, request_id: Any) -> None:
    shared_home.daemon()
    with shared_home.connect() as wire:
        wire.send({**PING, "id": request_id})
        assert wire.receive() == {**PONG, "id": request_id}


def test_a_notification_is_executed_and_not_answered(shared_home: Home) -> None:
    shared_home.daemon()
    session_id = shared_home.call("turn.start", message="hi", model="echo")["session_id"]
    with shared_home.connect() as wire:
        wire.send({"jsonrpc": "2.0", "method": "no.such.method"})
        wire.send({"jsonrpc": "2.0", "method": "turn.show", "params": {"wrong": 1}})
        rename = {"session_id": session_id, "title": "renamed"}
        wire.send({"jsonrpc": "2.0", "method": "session.rename", "params": rename})
        until(lambda: wire.call("session.get", session_id=session_id)["title"] == "renamed", "a new title")


def test_a_batch_is_answered_entry_by_entry(shared_home: Home) -> None:
    shared_home.daemon()
    with shared_home.connect() as wire:
        wire.send([1, 2, 3])
        assert [(one["id"], one["error"]["code"]) for one in wire.receive()] == [(None, INVALID)] * 3
        wire.send([{"jsonrpc": "2.0", "method": "ping"}, {"jsonrpc": "2.0", "method": "foobar"}])
        wire.send(
            [PING, {"jsonrpc": "2.0", "method": "ping"}, {"foo": "boo"}, {**PING, "method": "foobar", "id": "5"},
             {**PING, "id": "9"}]
        )  # fmt: skip
        # Nothing came of the batch of notifications.
        answers = {one["id"]: one.get("result") or one["error"]["code"] for one in wire.receive()}
        assert answers == {1: "pong", None: INVALID, "5": NO_METHOD, "9": "pong"}
        wire.send([{**PING, "id": number} for number in range(100)])
        assert sorted(one["id"] for one in wire.receive()) == list(range(100))
        wire.send([PING] * 101)
        refusal = wire.receive()
        assert (refusal["id"], refusal["error"]["code"]) == (None, INVALID)
        watch = Stopwatch()
        wire.send_bytes(b"[" + b"1," * 100_000 + b"1]\n")
        with shared_home.connect() as other:
            assert other.call("ping") == "pong"
        assert wire.receive()["error"]["code"] == INVALID
        assert watch.seconds() < 2


def test_how_the_bytes_are_cut_makes_no_difference(shared_home: Home) -> None:
    """One byte at a time, many frames at once, CRLF, empty lines."""
    shared_home.daemon()
    draw = random.Random(5)
    frames = [json.dumps({**PING, "id": number}).encode() for number in range(300)]
    stream = b"".join(frame + draw.choice([b"\n", b"\r\n", b"\n\n", b" \n"]) for frame in frames)
    with shared_home.connect() as wire:
        at = 0
        while at < len(stream):
            size = draw.choice([1, 1, 2, 7, 100, 1000])
            wire.send_bytes(stream[at : at + size])
            at += size
        assert [wire.receive()["id"] for _ in frames] == list(range(300))


def test_a_connection_cannot_cancel_what_it_does_not_name(shared_home: Home) -> None:
    """Ids are a connection's own: another one's request of the same id is untouched."""
    shared_home.daemon()
    with shared_home.connect() as one, shared_home.connect() as other:
        request_id = one.request("turn.start", message="word " * 20_000, model="echo", ephemeral=True)
        other.send(
            {"jsonrpc": "2.0", "id": request_id, "method": "turn.cancel", "params": {"turn_id": str(request_id)}}
        )
        assert other.receive()["error"]["code"] == -32001
        assert one.outcome(request_id)[1]["finish_reason"] == "stop"


def mutated(draw: random.Random) -> bytes:
    """A valid frame with something done to it, or noise."""
    frame = bytearray(draw.choice(VALID))
    kind = draw.randrange(5)
    if kind == 0:
        for _ in range(draw.randrange(1, 6)):
            frame[draw.randrange(len(frame))] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del frame[draw.randrange(len(frame)) :]
    elif kind == 2:
        at = draw.randrange(len(frame))
        frame[at:at] = draw.choice([b"{", b"]", b'"', b"\\", b"\x00", b"\xff", b"9" * 40, b"[" * 100, b",", b"null"])
    elif kind == 3:
        other = draw.choice(VALID)
        frame = frame[: draw.randrange(len(frame))] + other[draw.randrange(len(other)) :]
    else:
        frame = bytearray(draw.randbytes(draw.randrange(1, 200)))
    return bytes(frame).replace(b"\n", b" ")


VALID = [
    json.dumps({"jsonrpc": "2.0", "id": 3, "method": method, "params": params}).encode()
    for method, params in (
        ("ping", {}),
        ("turn.start", {"message": "hi", "model": "echo", "ephemeral": True, "options": {"stop": ["x"], "seed": 1}}),
        ("session.list", {"limit": 5}),
        ("session.messages", {"session_id": "s-1"}),
        ("chat.complete", {"messages": [{"role": "user", "content": "hi"}], "model": "echo"}),
        ("config.get", {"section": "limits"}),
        ("hello", {"client": "c", "version": "1", "protocol": 1}),
    )
]


def survive_mutations(home: Home, count: int) -> None:
    """Sends `count` malformed frames, a health probe every fifty."""
    daemon = home.daemon()
    draw = random.Random(5)
    before = 0
    probe = home.connect()
    wire = home.connect()
    for number in range(count):
        if number % 50 == 0:
            watch = Stopwatch()
            assert probe.call("ping") == "pong"
            assert watch.seconds() < 1
            # A fresh connection now and then, so that ids in flight do not pile up.
            wire.raw.close()
            wire = home.connect()
            before = before or rss_bytes(daemon)
        wire.send_bytes(mutated(draw) + b"\n")
        wire.send({**PING, "id": "probe"})
        wait_for_probe(wire)
    wire.raw.close()
    probe.raw.close()
    assert home.daemons() == [daemon]
    assert "Traceback" not in home.log
    assert " ERROR " not in home.log
    assert rss_bytes(daemon) - before < 10 << 20


def wait_for_probe(wire: Wire) -> None:
    """Read up to the pong; what came before answered the mutated frame."""
    while (message := wire.receive()) is not None:
        if isinstance(message, dict) and message.get("id") == "probe":
            return
    raise AssertionError("the daemon closed the connection")


def test_three_hundred_mutated_frames_do_no_harm(home: Home) -> None:
    survive_mutations(home, 300)


@pytest.mark.chaos
def test_ten_thousand_mutated_frames_do_no_harm(home: Home, chaos: Callable[[int], int]) -> None:
    survive_mutations(home, chaos(10_000))
