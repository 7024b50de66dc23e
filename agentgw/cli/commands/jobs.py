"""`agentgw jobs`: work at set times, or when a file changes."""

from __future__ import annotations

import os

from agentgw.cli import output
from agentgw.cli.commands import (
    Action,
    add_json,
    agreed,
    connect,
    daemon_path,
    fetched,
    fetched_pages,
    is_elsewhere,
    names,
    tell_more,
)
from agentgw.cli.terminal.times import local
from agentgw.cli.turn_printer import is_interactive
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

    from agentgw.client import Client

_NEEDS: Final = ("network", "unmetered", "ac", "idle")


def list_jobs(args: Namespace) -> int:
    """Prints the jobs of the file, then what is wrong in it on standard error."""
    found = fetched(args, "job.list")
    if found is None:
        return 0
    rows = [
        (job["name"], job["schedule"], _state(job), local(job.get("next_at")), _last(job.get("last")))
        for job in found["jobs"]
    ]
    output.table(rows, ("job", "when", "state", "next", "last"))
    for problem in found["problems"]:
        output.complaint(f"{found['file']}:{problem['line']}: {problem['reason']}")
    if not found["jobs"] and not found["problems"]:
        output.notice('there is no job yet: agentgw jobs add "sum up my notes" --every "day at 08:30"')
    if not found["enabled"]:
        output.notice("the scheduler is off: only `agentgw jobs run` starts a job")
    return 0


def _state(job: dict[str, Any]) -> str:
    return f"{job['state']}: {job['why']}" if job.get("why") else str(job["state"])


def _last(run: dict[str, Any] | None) -> str:
    if run is None:
        return ""
    return f"{run['status']} {local(run.get('finished_at') or run.get('started_at'))}"


def _configure_add(parser: ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="+", help="what the agent is asked to do")
    parser.add_argument("--every", metavar="WHEN", help='"10 minutes", "day at 08:30", "monday at 10:00"')
    parser.add_argument("--cron", metavar="FIELDS", help='"30 8 * * 1-5", or @daily and the like')
    parser.add_argument("--at", metavar="TIME", help="once, such as 2027-05-01T09:00")
    parser.add_argument("--on", metavar="PATH", help="when this file or folder has changed and stayed still")
    parser.add_argument("--name", help="made of the text where it is left out")
    parser.add_argument("-s", "--skill", metavar="NAME", help="the skill that does it")
    parser.add_argument("-m", "--model", metavar="REF", help="the model that answers")
    parser.add_argument(
        "-f", "--file", metavar="FILE", action="append", default=[],
        help="hand this file along, or the files in this folder, as they are then",
    )  # fmt: skip
    parser.add_argument("--cwd", metavar="DIR", help="where its tools work")
    parser.add_argument("--tz", metavar="ZONE", help="such as Europe/Berlin; the machine's")
    parser.add_argument("--misfire", choices=("run_once", "skip"), help="what becomes of times that went by")
    parser.add_argument("--grace", metavar="SECONDS", type=float, help="a run may start so late")
    parser.add_argument("--jitter", metavar="SECONDS", type=float, help="spread starts over so long")
    parser.add_argument("--overlap", choices=("skip", "queue"), help="when it is due while it still runs")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="a run takes at most")
    parser.add_argument("--retries", metavar="N", type=int, help="so often again after a failure")
    parser.add_argument(
        "--approve", metavar="deny|TOOL[,TOOL…]", help="tools that run without being asked about, or none that needs it"
    )
    parser.add_argument("--needs", metavar="NEED", action="append", default=[], choices=_NEEDS, help=", ".join(_NEEDS))
    parser.add_argument("--notify", action="append", default=[], choices=("desktop", "webhook"), help="of each end")
    add_json(parser)


def add(args: Namespace) -> int:
    """Writes the job into the file, shows its next times, and on a terminal offers a run now."""
    if not (args.every or args.cron or args.at or args.on):
        raise UsageError("nothing says when", hint="give --every, --cron, --at or --on")
    with connect() as client:
        added = client.call(
            "job.add", message=" ".join(args.text), name=args.name, every=args.every, cron=args.cron, at=args.at,
            on=_absolute(args.on), skill=args.skill, model=args.model, files=[_absolute(file) for file in args.file],
            cwd=_absolute(args.cwd), tz=args.tz, misfire=args.misfire, grace_s=args.grace, jitter_s=args.jitter,
            overlap=args.overlap, timeout_s=args.timeout, retries=args.retries,
            approvals=names(None if args.approve is None else [args.approve], "--approve"),
            needs=args.needs, notify=args.notify,
        )  # fmt: skip
        name = added["job"]["name"]
        if args.json:
            output.json_line(added)
        else:
            output.line(name)
            for moment in added["times"]:
                output.line(f"  {local(moment)}")
            if not added["times"]:
                output.line(f"  {added['job']['schedule']}")
            output.notice(f"written to {added['file']}")
        for path in (*args.file, *filter(None, (args.cwd, args.on))):
            if not is_elsewhere() and not os.path.exists(path):
                output.notice(f"there is no {path} yet")
        _warn(client)
        if not args.json and is_interactive() and agreed("Run it now?"):
            return _run(client, name, wait=True)
    return 0


def _warn(client: Client) -> None:
    """Says what keeps jobs from running when they are due."""
    from agentgw.local.paths import Paths
    from agentgw.local.service.manager import DaemonService, enabled_jobs, problems

    if client.where:
        return
    for severity, text, fix in problems(DaemonService(Paths()), enabled_jobs(client)):
        if severity in ("warning", "error"):
            output.notice(f"{text}: {fix}")


def _absolute(path: str | None) -> str | None:
    return None if path is None else daemon_path(path)


def _configure_name(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the job")


def remove(args: Namespace) -> int:
    """Takes the job out of the file."""
    with connect() as client:
        client.call("job.remove", name=args.name)
    output.notice(f"removed {args.name}; its history stays")
    return 0


def enable(args: Namespace) -> int:
    """Switches it on."""
    with connect() as client:
        job = client.call("job.enable", name=args.name)
    output.notice(f"{args.name} is on" + (f": next {local(job['next_at'])}" if job.get("next_at") else ""))
    return 0


def disable(args: Namespace) -> int:
    """Switches it off."""
    with connect() as client:
        client.call("job.disable", name=args.name)
    output.notice(f"{args.name} is off")
    return 0


def _configure_run(parser: ArgumentParser) -> None:
    _configure_name(parser)
    parser.add_argument("--wait", action="store_true", help="until it has ended; exit status 0 only if it succeeded")
    add_json(parser)


def run(args: Namespace) -> int:
    """Runs the job now."""
    with connect() as client:
        return _run(client, args.name, wait=args.wait, as_json=args.json)


def _run(client: Client, name: str, *, wait: bool, as_json: bool = False) -> int:
    found = client.call("job.run", name=name, wait=wait)
    status, turn_id = found["status"], found.get("turn_id")
    if as_json:
        output.json_line(found)
    elif wait and status == "ok" and turn_id:
        output.prose(client.call("turn.show", turn_id=turn_id)["text"])
    elif status == "running" and turn_id:
        output.line(str(turn_id))
        output.notice(f"{name} runs; agentgw attach {turn_id} shows it")
    if status != "ok" and (wait or status != "running"):
        why = found.get("why") or "agentgw was stopped and goes on with it when it is started"
        output.complaint(f"{name} {status}: {why}")
        return output.FAILED
    return 0


def _configure_history(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="of this job; without it of all")
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=20, help="the latest so many")
    add_json(parser)


def history(args: Namespace) -> int:
    """Prints runs, and times that had none with the reason."""
    page = fetched_pages(args, "job.history", "runs", name=args.name)
    if page is None:
        return 0
    rows = [
        (
            found["job"], local(found["scheduled_for"]), found["status"], _reason(found), _late(found),
            output.short_id(found.get("turn_id") or ""), found.get("why"),
        )
        for found in page["runs"]
    ]  # fmt: skip
    output.table(rows, ("job", "for", "status", "reason", "late", "turn", "why"))
    tell_more(args, page)
    return 0


def _reason(found: dict[str, Any]) -> str:
    missed = found["missed"]
    count = f"{missed}{'+' if found.get('more') else ''}"
    if found.get("reason") is None:
        return f"{count} times" if missed > 1 else ""
    words = str(found["reason"]).replace("_", " ")
    words += f", attempt {found['attempt']}" if found["attempt"] > 1 else ""
    return f"{words} for {count}" if missed else words


def _late(found: dict[str, Any]) -> str:
    seconds = found["lateness_s"]
    if found["status"] == "skipped" or seconds < 60:
        return ""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def _configure_next(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="of this job; without it of all")
    parser.add_argument("-n", "--count", metavar="N", type=int, default=3, help="so many of each job")
    add_json(parser)


def next_times(args: Namespace) -> int:
    """Prints when jobs are due next."""
    found = fetched(args, "job.next", name=args.name, count=args.count)
    if found is None:
        return 0
    output.table([(local(one["at"]), one["job"]) for one in found["times"]], ("at", "job"))
    return 0


ACTIONS = {
    "list": Action(list_jobs, "all jobs, and what is wrong in their file", "agentgw jobs", add_json),
    "add": Action(
        add,
        "a new one",
        'agentgw jobs add "sum up my notes" --every "day at 08:30"',
        _configure_add,
    ),
    "remove": Action(remove, "take it out of the file", "agentgw jobs remove inbox", _configure_name),
    "enable": Action(enable, "switch it on", "agentgw jobs enable inbox", _configure_name),
    "disable": Action(disable, "switch it off", "agentgw jobs disable inbox", _configure_name),
    "run": Action(run, "run it now", "agentgw jobs run inbox --wait", _configure_run),
    "history": Action(history, "what became of each time", "agentgw jobs history inbox", _configure_history),
    "next": Action(next_times, "when jobs are due", "agentgw jobs next", _configure_next),
}
