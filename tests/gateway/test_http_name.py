"""http.sock while the daemon runs: a name that is lost leads to the same door again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw_daemon.gateway import gateway as gateway_module
from agentgw_daemon.gateway.http_name import HttpName
from tests.gateway.harness import UNIX, HttpClient, opened
from tests.polling import until

pytestmark = pytest.mark.anyio


async def test_a_name_that_is_gone_is_published_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "GUARD_INTERVAL_S", 0.01)
    paths = Paths(Environment({"AGENTGW_HOME": str(tmp_path)}))
    prepare(paths)
    name = HttpName(paths)
    name.publish().close()
    async with opened({}) as site:
        site.gateway.guard(name, UNIX)
        Path(name.path).unlink()
        await until(lambda: not name.is_missing)
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(name.path)
        client = HttpClient(raw)
        site.clients.append(client)
        assert (await client.ask("GET", "/health")).json == {"status": "ok"}
        site.gateway.close()
