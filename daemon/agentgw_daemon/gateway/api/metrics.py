"""`GET /metrics` in the text format of Prometheus, written by hand.

All figures are there already (`daemon.status`, `stats.get`, the access log), so that a client library would add a
registry of its own and its default collectors to thirty lines of text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.daemon import DaemonStatus, StatsResult
from agentgw.protocol.calls.shared import NoParams
from agentgw_daemon.gateway.access.access_log import BUCKETS_S, AccessLog
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_Sample = tuple[Mapping[str, str], float]


async def metrics(exchange: Exchange) -> HttpAnswer:
    """The text of all metrics."""
    gateway = exchange.gateway
    status = await exchange.call("daemon.status", NoParams())
    stats = await exchange.call("stats.get", NoParams())
    lines = (*_of_daemon(status), *_of_stats(stats), *_of_http(gateway.access, gateway.requests, gateway.watchers))
    return HttpAnswer(body="".join(f"{line}\n" for line in lines).encode(), content_type=_CONTENT_TYPE)


def _of_daemon(status: DaemonStatus) -> Iterator[str]:
    yield from _metric("agentgw_info", "gauge", "Version of the daemon.", [({"version": status.version}, 1)])
    for name, doc, value in (
        ("uptime_seconds", "Time since the daemon started.", status.uptime_s),
        ("resident_memory_bytes", "Memory of the daemon without its workers.", status.rss_bytes),
        ("database_bytes", "Size of the database.", status.db_bytes),
        ("connections", "Open connections of the socket.", status.connections),
        ("turns_running", "Turns that have not ended.", status.turns),
        ("turns_waiting", "Of these, those that wait for an answer.", status.waiting),
        ("queue_length", "Requests that wait for a slot.", status.queue),
        ("sessions", "Stored sessions.", status.sessions),
        ("jobs", "Scheduled jobs.", status.scheduler.jobs_count),
    ):
        yield from _metric(f"agentgw_{name}", "gauge", doc, [({}, value)])
    for name, doc, field in (
        ("resident_memory_bytes", "Memory of a worker.", "rss_bytes"),
        ("slots", "Sequences that a worker can hold.", "slots"),
        ("busy_slots", "Of these, those in use.", "busy"),
        ("tokens_per_second", "Speed of its streams now, or of its last answer.", "tokens_per_s"),
    ):
        samples = [
            ({"kind": worker.kind, "model": worker.model or "", "pid": str(worker.pid)}, float(getattr(worker, field)))
            for worker in status.workers
        ]
        yield from _metric(f"agentgw_worker_{name}", "gauge", doc, samples)


def _of_stats(stats: StatsResult) -> Iterator[str]:
    by_state = [({"state": state}, count) for state, count in sorted(stats.turns_by_state.items())]
    by_model = [({"model": model}, count) for model, count in sorted(stats.turns_by_model.items())]
    yield from _metric("agentgw_stored_turns", "gauge", "Stored turns by their state.", by_state)
    yield from _metric("agentgw_stored_turns_by_model", "gauge", "Stored turns by model.", by_model)
    yield from _metric("agentgw_stored_messages", "gauge", "Stored messages.", [({}, stats.messages)])
    doc = "Tokens of all stored answers."
    yield from _metric("agentgw_stored_completion_tokens", "gauge", doc, [({}, stats.completion_tokens)])


def _of_http(access: AccessLog, requests: int, watchers: int) -> Iterator[str]:
    yield from _metric("agentgw_http_requests", "gauge", "Requests that are being answered.", [({}, requests)])
    yield from _metric("agentgw_http_watchers", "gauge", "Open event streams.", [({}, watchers)])
    answered = [
        ({"method": method, "route": route, "status": str(status)}, count)
        for (method, route, status), count in sorted(access.answered.items())
    ]
    doc = "Answered requests; status 0: their clients left before."
    yield from _metric("agentgw_http_requests_total", "counter", doc, answered)
    name = "agentgw_http_request_duration_seconds"
    counts = list(accumulate(access.buckets))
    yield f"# HELP {name} Time from a request's head to the end of its answer."
    yield f"# TYPE {name} histogram"
    for bound, count in zip((*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"), counts, strict=True):
        yield f'{name}_bucket{{le="{bound}"}} {count}'
    yield f"{name}_sum {access.seconds:.6f}"
    yield f"{name}_count {counts[-1]}"


def _metric(name: str, kind: str, doc: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {doc}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{shown}}} {value}" if shown else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


METRICS: Final = (
    Route(method="GET", path="/metrics", doc="Figures for Prometheus.", respond=metrics),
)  # fmt: skip
