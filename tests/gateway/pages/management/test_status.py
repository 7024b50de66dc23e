"""The daemon's state as a page, and the figures of its charts."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.calls.daemon import DaemonStatus
from agentgw.protocol.types import SchedulerStatus, ServiceStatus, Worker
from tests.gateway.harness import opened
from tests.gateway.pages.harness import EVIL, Visitor, text_of

pytestmark = pytest.mark.anyio


def status(*workers: Worker, model: str = "m") -> DaemonStatus:
    return DaemonStatus(
        version="1", pid=7, uptime_s=7260.0, socket="/s",
        scheduler=SchedulerStatus(enabled=True, jobs_count=1, jobs=()),
        service=ServiceStatus(provider="local", model=model), models=(), workers=workers, queue=3, sessions=2,
        db_bytes=1000, connections=1, rss_bytes=50_000_000, log="/l",
    )  # fmt: skip


def worker(**more: Any) -> Worker:
    values: dict[str, Any] = {"pid": 8, "kind": "model", "rss_bytes": 150_000_000, "slots": 4, "busy": 1, "model": "m"}
    return Worker(**{**values, **more})


def handlers(found: DaemonStatus) -> dict[str, Any]:
    return {"daemon.status": lambda request, params: found}


async def test_the_page_shows_the_latest_figures_before_a_script_runs() -> None:
    async with opened(handlers(status(worker(tokens_per_s=61.4)))) as made:
        text = text_of(await Visitor(made).get("/status"))
    for words in ("Tokens a second61", "Waiting for a slot3", "Memory200 MB", "2 h 1 min", "1 of 4", "1 job"):
        assert words in text.replace("\n", "")


async def test_charts_go_on_with_what_is_computed_now() -> None:
    found = status(worker(tokens_per_s=60.0), worker(tokens_per_s=30.0, busy=0), worker(kind="retrieval", busy=0))
    async with opened(handlers(found)) as made:
        reply = await Visitor(made).get("/status/figures")
    assert reply.json == {"tokens": 60.0, "queue": 3, "memory": 500_000_000}


async def test_without_workers_the_page_says_when_one_runs() -> None:
    async with opened(handlers(status())) as made:
        assert "No worker runs" in text_of(await Visitor(made).get("/status"))


async def test_without_a_default_model_the_page_leads_to_the_models() -> None:
    async with opened(handlers(status(model=""))) as made:
        assert "no model yet: choose one" in text_of(await Visitor(made).get("/status"))


async def test_nothing_of_a_worker_is_read_as_html() -> None:
    async with opened(handlers(status(worker(model=EVIL, detail=EVIL), model=EVIL))) as made:
        reply = await Visitor(made).get("/status")
    body = reply.body.decode()
    assert reply.status == 200
    assert "<img" not in body
    assert 'onerror="' not in body
