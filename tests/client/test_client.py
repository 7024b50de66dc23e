from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from agentgw import client as client_module
from agentgw.client import ConnectionLost
from agentgw.local.connect import connect_client, connect_running
from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.sockets import bind_socket
from agentgw.protocol.errors import (
    DaemonUnreachable,
    DirectoryRefused,
    InternalError,
    NotFound,
    RpcError,
    Timeout,
    VersionMismatch,
)
from agentgw.transport.connection import Notification
from tests.client.fakedaemon import Failure, FakeDaemon, HangUp, Peer, Serve
from tests.patience import Stopwatch


def three_words(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    for word in ("one", "two", "three"):
        peer.delta(word)
    return {"text": "one two three"}


def test_hello_is_said_once_and_kept(paths: Paths, serve: Serve) -> None:
    daemon = serve()
    with connect_client(paths) as client:
        assert client.call("ping") == "pong"
        assert client.daemon["instance"] == "i"
    assert daemon.methods() == ["hello", "ping"]
    assert daemon.params("hello") == {"client": "agentgw", "version": "4.0.0.dev0", "protocol": 1}


def test_parameters_that_are_none_are_left_out(paths: Paths, serve: Serve) -> None:
    daemon = serve({"session.list": {"sessions": []}})
    with connect_client(paths) as client:
        client.call("session.list", limit=1, cwd=None)
    assert daemon.params("session.list") == {"limit": 1}


def test_a_stream_gives_notifications_and_then_the_result(paths: Paths, serve: Serve) -> None:
    serve({"turn.start": three_words})
    with connect_client(paths) as client:
        stream = client.stream("turn.start", message="hi")
        seen = [(message.method, message.params["text"], message.params["seq"]) for message in stream]
        assert seen == [("turn.delta", "one", 1), ("turn.delta", "two", 2), ("turn.delta", "three", 3)]
        assert stream.result == {"text": "one two three"}
        assert client.call("ping") == "pong"


def test_a_call_passes_over_notifications(paths: Paths, serve: Serve) -> None:
    serve({"turn.start": three_words})
    with connect_client(paths) as client:
        assert client.call("turn.start", message="hi") == {"text": "one two three"}


def test_an_error_comes_as_its_own_class(paths: Paths, serve: Serve) -> None:
    serve({"session.get": Failure(-32001, "no session x", kind="session", id="x", hint="see agentgw sessions")})
    with connect_client(paths) as client:
        with pytest.raises(NotFound) as caught:
            client.call("session.get", session_id="x")
        assert (caught.value.message, caught.value.hint) == ("no session x", "see agentgw sessions")
        assert caught.value.data == {"kind": "session", "id": "x"}
        assert client.call("ping") == "pong"


def test_an_error_of_a_stream_comes_after_its_notifications(paths: Paths, serve: Serve) -> None:
    def broken(peer: Peer, params: dict[str, Any]) -> None:
        peer.delta("half")
        raise Failure(-32603, "Internal error", error_id="e1")

    serve({"turn.start": broken})
    with connect_client(paths) as client:
        stream = client.stream("turn.start", message="hi")
        seen: list[Notification] = []
        with pytest.raises(InternalError):
            seen.extend(iter_into(stream, seen))
        assert [message.params["text"] for message in seen] == ["half"]


def iter_into(stream: Any, seen: list[Notification]) -> list[Notification]:
    for message in stream:
        seen.append(message)
    return []


def test_an_error_of_an_unknown_code_is_still_an_error(paths: Paths, serve: Serve) -> None:
    serve({"ping": Failure(-1, "odd")})
    with connect_client(paths) as client, pytest.raises(RpcError, match="odd"):
        client.call("ping")


def test_an_error_about_a_frame_that_could_not_be_read_ends_the_wait(paths: Paths, serve: Serve) -> None:
    def unreadable(peer: Peer, params: dict[str, Any]) -> None:
        peer.send({"id": None, "error": {"code": -32600, "message": "frame too large"}})
        raise HangUp

    serve({"ping": unreadable})
    with connect_client(paths) as client, pytest.raises(RpcError, match="frame too large"):
        client.call("ping")


def test_the_reply_to_a_request_sent_meanwhile_is_passed_over(paths: Paths, serve: Serve) -> None:
    def until_cancelled(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.delta("a")
        assert peer.cancelled.wait(5)
        return {"finish_reason": "cancelled"}

    serve({"turn.start": until_cancelled})
    with connect_client(paths) as client:
        stream = client.stream("turn.start", message="hi")
        for _ in stream:
            client.send("turn.cancel", turn_id="turn1")
        assert stream.result == {"finish_reason": "cancelled"}


def test_a_notification_is_not_answered(paths: Paths, serve: Serve) -> None:
    daemon = serve()
    with connect_client(paths) as client:
        client.notify("turn.cancel", turn_id="turn1")
        assert client.call("ping") == "pong"
    assert "turn.cancel" in daemon.methods()


def test_parameters_may_go_by_position(paths: Paths, serve: Serve) -> None:
    daemon = serve({"turn.cancel": {"ok": True}})
    with connect_client(paths) as client:
        assert client.request("turn.cancel", ["turn1"]) == {"ok": True}
    assert daemon.params("turn.cancel") == ["turn1"]


def test_the_limit_ends_a_wait(paths: Paths, serve: Serve) -> None:
    serve({"turn.start": lambda peer, params: peer.gone.wait(5)})
    with connect_client(paths) as client:
        client.limit(0.05)
        with pytest.raises(Timeout, match=r"no answer within 0\.05 seconds") as caught:
            client.call("turn.start", message="hi")
        assert caught.value.exit_status == 124
        client.limit(None)
        assert client.call("ping") == "pong"


def test_the_limit_covers_all_waits_together(paths: Paths, serve: Serve) -> None:
    def drip(peer: Peer, params: dict[str, Any]) -> None:
        while not peer.gone.wait(0.02):
            peer.delta("x")

    serve({"turn.start": drip})
    with connect_client(paths) as client:
        client.limit(0.1)
        watch = Stopwatch()
        with pytest.raises(Timeout):
            client.call("turn.start", message="hi")
        assert watch.seconds() < 2


def test_a_daemon_that_goes_away_in_the_middle_is_one_clear_error(paths: Paths, serve: Serve) -> None:
    def vanish(peer: Peer, params: dict[str, Any]) -> None:
        peer.delta("half")
        raise HangUp

    serve({"turn.start": vanish})
    with connect_client(paths) as client, pytest.raises(ConnectionLost, match="ended before it answered"):
        client.call("turn.start", message="hi")


def test_without_a_daemon_nothing_is_started_when_that_is_not_wanted(paths: Paths) -> None:
    for attempt in (lambda: connect_client(paths, spawn=False), lambda: connect_running(paths)):
        with pytest.raises(DaemonUnreachable, match="no daemon is running") as caught:
            attempt()
        assert caught.value.hint == "run: agentgw start"


def test_another_socket_is_used_and_its_daemon_never_started(paths: Paths, home: Any) -> None:
    elsewhere = Paths(Environment({"AGENTGW_HOME": str(home / "elsewhere")}))
    prepare(elsewhere)
    variables = {"AGENTGW_HOME": str(home), "AGENTGW_SOCKET": elsewhere.socket}
    with FakeDaemon(bind_socket(elsewhere)), connect_client(Paths(Environment(variables))) as client:
        assert client.call("ping") == "pong"
    with pytest.raises(DaemonUnreachable, match=f"no daemon is running at {elsewhere.socket}"):
        connect_client(Paths(Environment(variables)), command=["/bin/false"])


@pytest.mark.parametrize("spawn", [True, False])
def test_a_daemon_of_another_protocol_is_not_used(paths: Paths, serve: Serve, spawn: bool) -> None:
    serve(protocol=2)
    with pytest.raises(VersionMismatch, match="speaks protocol 2, this client 1") as caught:
        connect_client(paths, spawn=spawn)
    assert caught.value.hint == "run: agentgw restart"


def test_a_silent_listener_is_given_up_on(paths: Paths, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "START_TIMEOUT_S", 0.05)
    serve({"hello": lambda peer, params: peer.gone.wait(5)})
    with pytest.raises(DaemonUnreachable, match=r"does not answer within 0\.05 seconds"):
        connect_client(paths)


def test_a_reader_that_shuts_its_writing_side_still_gets_everything(paths: Paths, serve: Serve) -> None:
    """A half-closed connection, at the socket: the daemon's side of it is in its own tests."""
    serve({"turn.start": three_words})
    with connect_client(paths) as client:
        stream = client.stream("turn.start", message="hi")
        client._socket.shutdown(socket.SHUT_WR)
        assert len(list(stream)) == 3
        assert stream.result == {"text": "one two three"}


def test_a_large_request_reaches_a_daemon_that_reads_late(paths: Paths) -> None:
    prepare(paths)
    daemon = FakeDaemon(bind_socket(paths), {"turn.start": lambda peer, params: {"size": len(params["message"])}})
    # Far more than the kernel buffers for an unread connection.
    timer = threading.Timer(0.1, daemon.thread.start)
    timer.start()
    with connect_running(paths) as client:
        assert client.call("turn.start", message="x" * 1_000_000) == {"size": 1_000_000}
    timer.join()
    daemon.__exit__()


def test_a_hundred_thousand_deltas_come_in_order(paths: Paths, serve: Serve) -> None:
    def flood(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        frames = b"".join(
            b'{"jsonrpc":"2.0","method":"turn.delta","params":{"seq":%d}}\n' % n for n in range(1, 100_001)
        )
        peer.connection.sendall(frames)
        return {"last_seq": 100_000}

    serve({"turn.start": flood})
    with connect_client(paths) as client:
        stream = client.stream("turn.start", message="hi")
        assert [message.params["seq"] for message in stream] == list(range(1, 100_001))
        assert stream.result == {"last_seq": 100_000}


def test_sudo_is_refused_before_anything_is_made(paths: Paths, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for attempt in (lambda: connect_client(paths), lambda: connect_running(paths)):
        with pytest.raises(DirectoryRefused, match="sudo"):
            attempt()
    assert not home.exists()
