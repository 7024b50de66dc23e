"""Figures for Prometheus."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentgw.protocol.calls.daemon import DaemonStatus, StatsResult
from agentgw.protocol.types import SchedulerStatus, ServiceStatus, Worker
from tests.gateway.harness import opened

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="([^"\\\n]|\\[\\"n])*"(,[a-z_]+="([^"\\\n]|\\[\\"n])*")*\})? [0-9.+eE-]+')


def status(request: Any, params: Any) -> DaemonStatus:
    return DaemonStatus(
        version="1", pid=1, uptime_s=2.5, socket="/s", scheduler=SchedulerStatus(enabled=False, jobs_count=0, jobs=()),
        service=ServiceStatus(provider="", model=""), models=(), queue=0, sessions=3, db_bytes=4, connections=1,
        rss_bytes=5, log="/l",
        workers=(Worker(pid=7, kind="model", rss_bytes=9, slots=4, busy=1, model='a"b\\c\nd', tokens_per_s=1.5),),
    )  # fmt: skip


def stats(request: Any, params: Any) -> StatsResult:
    return StatsResult(
        sessions=1, turns=2, messages=3, completion_tokens=4, turns_by_state={"completed": 2},
        turns_by_model={"echo": 2}, db_bytes=5,
    )  # fmt: skip


@pytest.mark.anyio
async def test_figures_are_in_the_text_format_whatever_a_model_is_called() -> None:
    async with opened({"daemon.status": status, "stats.get": stats}) as made:
        client = made.client()
        await client.ask("GET", "/nix")
        reply = await client.ask("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.decode().splitlines()
    for line in lines:
        assert line.startswith(("# HELP agentgw_", "# TYPE agentgw_")) or LINE.fullmatch(line), line
    assert 'agentgw_worker_tokens_per_second{kind="model",model="a\\"b\\\\c\\nd",pid="7"} 1.5' in lines
    assert 'agentgw_http_requests_total{method="GET",route="-",status="404"} 1' in lines
    assert "agentgw_http_request_duration_seconds_count 1" in lines
    assert "agentgw_turns_running 0" in lines


@pytest.mark.anyio
async def test_each_figure_is_described_once() -> None:
    async with opened({"daemon.status": status, "stats.get": stats}) as made:
        text = (await made.client().ask("GET", "/metrics")).body.decode()
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) == len(set(names))
