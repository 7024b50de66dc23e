from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from agentgw.client import ConnectionLost
from agentgw.protocol.errors import DaemonUnreachable, VersionMismatch
from agentgw.remote.address import parse_address
from agentgw.remote.reaching import reach
from agentgw.remote.ssh_stream import ssh_command
from tests.client.fakedaemon import Peer, Serve
from tests.client.remote.sshd import install
from tests.patience import PATIENCE_S

URL = "ssh://me@laptop:2222"


def test_the_command_line_keeps_host_and_user_from_being_options() -> None:
    command = ssh_command(parse_address(URL), may_ask=False)
    assert command[0] == "ssh"
    assert command[-3:-1] == ["--", "laptop"]
    assert command[command.index("-p") + 1] == "2222"
    assert command[command.index("-l") + 1] == "me"
    assert "BatchMode=yes" in command
    assert "BatchMode=yes" not in ssh_command(parse_address(URL), may_ask=True)


def test_calls_reach_the_daemon_over_there(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = install(tmp_path / "bin", monkeypatch)

    def words(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.delta("one")
        peer.delta("two")
        return {"text": "one two"}

    serve({"turn.start": words})
    with reach(URL, may_ask=False) as client:
        assert client.where == URL
        stream = client.stream("turn.start", message="hi")
        assert [message.params["text"] for message in stream] == ["one", "two"]
        assert stream.result == {"text": "one two"}
    assert arguments.read_text().splitlines()[-4:-1] == ["me", "--", "laptop"]


def test_leaving_ends_the_bridge_and_so_the_call(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch)
    left = threading.Event()

    def silent(peer: Peer, params: dict[str, Any]) -> None:
        peer.delta("begun")
        if peer.gone.wait(20):
            left.set()

    serve({"turn.start": silent})
    client = reach(URL, may_ask=False)
    assert next(iter(client.stream("turn.start", message="hi"))).params["text"] == "begun"
    client.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.parametrize(
    ("first", "agentgw", "said"),
    [
        ("echo 'ssh: connect to host laptop: Connection refused' >&2; exit 255", True, "Connection refused"),
        ("echo 'Permission denied (publickey).' >&2; exit 255", True, "ssh -p 2222 me@laptop agentgw --version"),
        ("", False, "has no agentgw"),
        ("exit 3", True, "ended with status 3"),
        ("echo 'agentgw: the directory is refused' >&2; exit 78", True, "ssh://me@laptop: the directory is refused"),
        ("echo 'Welcome to this machine'", True, "'Welcome to this machine' in place of"),
        ("printf '\\377\\376\\n'; exit 0", True, "in place of a daemon's words"),
    ],
)
def test_what_goes_wrong_is_told_in_the_words_of_the_other_side(
    first: str, agentgw: bool, said: str, home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch, first=first, agentgw=agentgw)
    serve()
    with pytest.raises(DaemonUnreachable) as caught:
        reach(URL, may_ask=False)
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint


def test_much_that_is_said_on_standard_error_holds_nothing_up(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch, first="head -c 1000000 /dev/zero >&2")
    serve()
    with reach(URL, may_ask=False) as client:
        assert client.call("ping") == "pong"


def test_a_machine_without_ssh_is_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaemonUnreachable, match="ssh"):
        reach(URL, may_ask=False)


def test_another_protocol_is_told_with_both_versions(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The bridge over there goes with its daemon, so it is a daemon behind another one's socket that differs.
    install(tmp_path / "bin", monkeypatch)
    answers: list[int] = [1, 2]
    serve({"hello": lambda peer, params: {"protocol": answers.pop(0), "version": "4.0.0.dev0", "pid": 1}})
    with pytest.raises(VersionMismatch, match=r"at ssh://me@laptop:2222 speaks protocol 2, this client 1 \(versions"):
        reach(URL, may_ask=False)


def test_an_end_in_the_middle_names_the_other_side(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch)

    def hang_up(peer: Peer, params: dict[str, Any]) -> None:
        peer.connection.shutdown(socket.SHUT_RDWR)

    serve({"turn.start": hang_up})
    with reach(URL, may_ask=False) as client, pytest.raises(ConnectionLost, match="the connection to ssh://me@laptop"):
        client.call("turn.start", message="hi")
