"""`agentgw backup`: what is asked of the daemon."""

from __future__ import annotations

from tests.client.commandline import Cli
from tests.client.fakedaemon import Serve


def test_a_backup_goes_to_no_pipe(cli: Cli, serve: Serve) -> None:
    daemon = serve({"daemon.backup": {"path": "/x/-", "size_bytes": 1}})
    status, out, err = cli("backup", "-")
    assert (status, out) == (2, "")
    assert "goes to no pipe" in err
    assert daemon.methods() == []
