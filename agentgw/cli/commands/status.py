"""`agentgw status`: what runs, in numbers. Starts nothing."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json
from agentgw.local.connect import connect_running
from agentgw.local.directories import data_of_another_home
from agentgw.local.on_demand import would_start
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints the daemon's status; exit status 3 says that no daemon runs."""
    paths = Paths()
    try:
        client = connect_running(paths)
    except DaemonUnreachable as error:
        if paths.other_url:
            # It is not known whether one runs there.
            raise
        on_demand = not paths.other_socket and would_start(paths)
        if args.json:
            output.json_line({"running": False, **({"on_demand": True} if on_demand else {})})
        else:
            output.line("not running; a request starts it" if on_demand else "not running")
        return error.exit_status
    with client:
        client.greet()
        status = client.call("daemon.status")
        elsewhere = "" if paths.other_socket or paths.other_url else data_of_another_home(client, paths)
    if elsewhere:
        output.notice(f"this is the daemon of another home: it keeps its data in {elsewhere}, not in {paths.data_dir}")
    if args.json:
        output.json_line({"running": True, **status})
    else:
        _show(status)
    return 0


def _show(status: dict[str, Any]) -> None:
    scheduler, service = status["scheduler"], status["service"]
    loaded = [model["name"] for model in status["models"] if model["state"] == "loaded"]
    output.pairs(
        (
            ("daemon", f"version {status['version']}, pid {status['pid']}, up {_duration(status['uptime_s'])}"),
            ("socket", status["socket"]),
            ("answers", f"{service['model']} ({service['provider']})" if service["model"] else "no model yet"),
            ("loaded", loaded or "no model"),
            ("workers", [_worker(worker) for worker in status["workers"]] or "none"),
            ("turns", _turns(status.get("turns", 0), status.get("waiting", 0))),
            ("queue", status["queue"]),
            ("sessions", status["sessions"]),
            ("database", output.size(status["db_bytes"])),
            ("memory", _with_peak(output.size(status["rss_bytes"]), output.size(status.get("rss_peak_bytes")))),
            ("descriptors", _with_peak(status.get("descriptors", ""), status.get("descriptors_peak"))),
            ("connections", status["connections"]),
            ("scheduler", f"on, {_jobs(scheduler['jobs_count'])}" if scheduler["enabled"] else "off"),
            ("http", _http(status.get("http", {}))),
            ("log", status["log"]),
        )
    )
    if again := status.get("reembedding"):
        why = f", stopped: {again['error']}" if again.get("error") else ""
        output.pairs([("documents", f"{again['chunks_left']} chunks to embed anew with {again['embedder']}{why}")])


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _with_peak(now: object, most: object) -> str:
    return f"{now}, at most {most}" if most else str(now)


def _turns(running: int, waiting: int) -> str:
    if not waiting:
        return str(running) if running else "none"
    verb = "waits" if waiting == 1 else "wait"
    return f"{running}, of which {waiting} {verb} for an answer: agentgw approvals"


def _http(http: dict[str, Any]) -> list[str] | str:
    return [http[name] for name in ("address", "socket", "error") if http.get(name)] or "off"


def _worker(worker: dict[str, Any]) -> str:
    speed = f", {output.rate(worker)} tokens/s" if output.rate(worker) else ""
    name = worker.get("model") or ("documents" if worker["kind"] == "retrieval" else "no model")
    if worker["kind"] == "retrieval":
        name = f"{name} ({worker.get('detail')})"
    return f"{name} in {output.size(worker['rss_bytes'])} ({worker['busy']} of {worker['slots']} busy{speed})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
