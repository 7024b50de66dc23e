"""Owners of connections, by the kernel's table and by itself."""

from __future__ import annotations

import os
import socket
import sys

import pytest
import trio

from agentgw_daemon.gateway.http import neighbour
from agentgw_daemon.gateway.http.neighbour import is_strangers, owner_of

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 99 1\n"


def test_the_owner_stands_in_the_row_of_both_addresses() -> None:
    lines = [HEAD, ROW]
    assert owner_of(lines, "0100007F:D431", "0100007F:1F90") == 1001
    assert owner_of(lines, "0100007F:1F90", "0100007F:D431") is None
    assert owner_of(["", "x\n", HEAD], "a", "b") is None


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the table")
async def test_a_connection_of_our_own_is_no_strangers_and_of_another_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        theirs = trio.socket.from_stdlib_socket(accepted)
        assert not is_strangers(theirs)
        # The kernel says who we are, the daemon's own user is pretended to be another one.
        monkeypatch.setattr(neighbour.os, "geteuid", lambda: os.getuid() + 1)
        assert is_strangers(theirs) == (os.getuid() != 0)
        theirs.close()
        assert client.fileno() > 0


@pytest.mark.anyio
async def test_who_comes_by_a_unix_socket_is_no_stranger() -> None:
    ours, theirs = socket.socketpair()
    assert not is_strangers(trio.socket.from_stdlib_socket(theirs))
    ours.close()
    theirs.close()
