"""`hello`, `ping`, `rpc.discover`: the daemon's version, a sign of life, and its tables."""

from __future__ import annotations

from typing import Any

from agentgw import PROTOCOL, __version__
from agentgw.local.directories import mark_of
from agentgw.protocol.calls.daemon import HelloParams, HelloResult
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.errors import VersionMismatch
from agentgw_daemon.server.calls.openrpc import openrpc
from agentgw_daemon.server.calls.request import RequestContext


def hello(request: RequestContext, params: HelloParams) -> HelloResult:
    """Answers with the daemon's name and version. A client of another wire is refused: its turns would be
    misread.
    """
    if params.protocol != PROTOCOL:
        raise VersionMismatch(
            f"the daemon {__version__} speaks protocol {PROTOCOL}, the client {params.version} protocol"
            f" {params.protocol}",
            hint="run `agentgw restart` with the newer one", ours=__version__, theirs=params.version,
        )  # fmt: skip
    started = request.services.started
    return HelloResult(
        protocol=PROTOCOL, version=__version__, pid=started.pid, instance=started.instance,
        started_at=started.started_at, busy=bool(request.daemon.turns.running), data_dir=started.paths.data_dir,
        data_mark=mark_of(started.paths.data_dir),
    )  # fmt: skip


def ping(request: RequestContext, params: NoParams) -> str:
    """Pong."""
    return "pong"


def discover(request: RequestContext, params: NoParams) -> dict[str, Any]:
    """The OpenRPC document."""
    return openrpc()


HANDLERS: dict[str, Any] = {"hello": hello, "ping": ping, "rpc.discover": discover}
