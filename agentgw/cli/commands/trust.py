"""`agentgw trust`: skills that come with a project are used only when somebody has agreed to them."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, agreed, connect, daemon_path, fetched
from agentgw.cli.terminal.times import local
from agentgw.cli.turn_printer import is_interactive
from agentgw.protocol.errors import DirectoryRefused, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from agentgw.client import Client


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("path", metavar="DIR", nargs="?", help="the project, or a directory in it")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--yes", action="store_true", help="do not ask")
    what.add_argument("--list", action="store_true", help="list the trusted projects")
    what.add_argument("--revoke", action="store_true", help="use the skills of DIR no longer")
    add_json(parser)


def run(args: Namespace) -> int:
    """Shows what DIR would bring along and asks whether to use it."""
    if args.list:
        return _list(args)
    if args.path is None:
        raise UsageError("which directory?", hint="agentgw trust DIR, or agentgw trust --list")
    path = daemon_path(args.path)
    with connect() as client:
        if args.revoke:
            client.call("skill.distrust", path=path)
            return 0
        return _trust(client, args, client.call("skill.project", path=path))


def _trust(client: Client, args: Namespace, project: dict[str, Any]) -> int:
    if args.json:
        if args.yes and project["state"] in ("untrusted", "changed"):
            project = client.call("skill.trust", path=project["path"], sha256=project["sha256"])
        output.json_line(project)
        return 0 if project["state"] == "trusted" or not args.yes else 1
    if project["state"] == "refused":
        raise DirectoryRefused(
            f"{project['path']} cannot be trusted: {project['error']}", hint="mend that and look at it again"
        )
    _show(project)
    if project["state"] == "trusted":
        output.notice("it is trusted, and nothing has changed since")
        return 0
    if not args.yes and not _agreed(project):
        output.notice("it is not trusted")
        return 1
    client.call("skill.trust", path=project["path"], sha256=project["sha256"])
    output.notice("its skills can be used, until one of their files changes")
    return 0


def _show(project: dict[str, Any]) -> None:
    skills = project.get("skills", ())
    changed = ", changed since they were trusted" if project["state"] == "changed" else ""
    _line("", f"{project['path']}: {_count(len(skills), 'skill')}{changed}")
    for skill in skills:
        size = f"{_count(skill['files'], 'file')}, {output.size(skill['size_bytes'])}"
        _line("  ", f"{skill['name']} ({skill['tier']}, {size})" if "error" not in skill else skill["name"])
        _line("    ", skill["description"] if "error" not in skill else f"broken: {skill['error']}")
        for warning in skill.get("warnings", ()):
            _line("    ", f"! {warning}")
    output.flush()


def _line(indent: str, text: str) -> None:
    # A stranger's text: what it says stays on its own line.
    output.paragraph(text, len(indent))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _agreed(project: dict[str, Any]) -> bool:
    if not is_interactive():
        raise UsageError(
            "nobody can be asked here", hint=f"read the files, then: agentgw trust {_quoted(project['path'])} --yes"
        )
    return agreed("What they say is given to models as instructions. Use them in this project?")


def _list(args: Namespace) -> int:
    found = fetched(args, "skill.trusted")
    if found is None:
        return 0
    rows = [(one["path"], one["state"], local(one.get("trusted_at")), one.get("error")) for one in found["projects"]]
    output.table(rows, ("project", "state", "trusted", "reason"))
    return 0


def _quoted(path: str) -> str:
    from agentgw.local.directories import quoted

    return quoted(path)
