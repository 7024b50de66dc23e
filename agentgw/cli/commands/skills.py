"""`agentgw skills`: what the agent can be."""

from __future__ import annotations

import os
import re

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, agreed, connect, daemon_path, fetched, working_directory
from agentgw.cli.terminal.editor import edit
from agentgw.cli.turn_printer import is_interactive
from agentgw.local.directories import make_private, prepare, private_umask
from agentgw.local.files.shipped import shipped
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AlreadyExists, LocalError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

# The words of `skills cost` and their widths after the name's; the last is open-ended.
_COST_HEADERS: Final = ("NAME", "TOKENS", "CONTEXT", "COLD", "WARM", "FIRST WORD", "MODEL")
_COST_WIDTHS: Final = (-6, -7, -7, -7, -10, 0)
# The Agent Skills standard's rule for a name.
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_NAME: Final = 64
# As the daemon's `skills.routing` has it.
AUTO: Final = "auto"
_TEMPLATE: Final = """\
---
name: {name}
description: What this skill does, and when to use it.
metadata:
  agentgw-temperature: "0.7"
---

You are ... Say here what the agent is to do, and how.
"""


class SkillInvalid(LocalError):
    """The skill on disk cannot be used."""

    remedy = "`agentgw skills new NAME` writes one to begin with"


def _list(args: Namespace) -> int:
    found = fetched(args, "skill.list", cwd=working_directory())
    if found is None:
        return 0
    rows = [(skill["name"], skill["tier"], _description(skill)) for skill in found["skills"]]
    output.table(rows, ("name", "tier", "description"))
    # On a terminal the table is cut at its width.
    for remedy in dict.fromkeys(skill["remedy"] for skill in found["skills"] if "remedy" in skill):
        output.notice(f"to use the skills of this project: {remedy}")
    return 0


def _description(skill: dict[str, Any]) -> str:
    if "error" not in skill:
        return str(skill["description"])
    return f"{'not used' if 'remedy' in skill else 'broken'}: {skill['error']}"


def _configure_show(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="its name")
    add_json(parser)


def _show(args: Namespace) -> int:
    found = fetched(args, "skill.get", name=args.name, cwd=working_directory())
    if found is None:
        return 0
    output.pairs(list(found["skill"].items()))
    output.line("")
    output.prose(found["instructions"])
    return 0


def _configure_route(parser: ArgumentParser) -> None:
    parser.add_argument("text", nargs="+", metavar="TEXT", help="the message")
    add_json(parser)


def _route(args: Namespace) -> int:
    found = fetched(args, "skill.route", message=" ".join(args.text), cwd=working_directory())
    if found is None:
        return 0
    rows = [(skill["name"], f"{skill['score']:.2f}", skill["reason"]) for skill in found["skills"]]
    output.table(rows, ("name", "score", "reason"))
    return 0


def _configure_cost(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="one skill; without it, all")
    add_json(parser)


def _cost(args: Namespace) -> int:
    """A line a skill as it is measured, which with a slow model takes seconds each; exit 1 when none could be."""
    cwd = working_directory()
    with connect() as client:
        if args.json:
            found = client.call("skill.cost", name=args.name, cwd=cwd)
            output.json_line(found)
            return 0 if any("error" not in cost for cost in found["skills"]) else 1
        # A name may be there twice, once broken: one call measures all of it.
        names = (
            [args.name]
            if args.name is not None
            else [skill["name"] for skill in client.call("skill.list", cwd=cwd)["skills"]]
        )
        widths = (max(map(len, (*names, "name"))), *_COST_WIDTHS)
        if args.name is None:
            output.table_row(_COST_HEADERS, widths)
        measured = 0
        for name in dict.fromkeys(names):
            costs = client.call("skill.cost", name=name, cwd=cwd)["skills"]
            if args.name is not None:
                # Not over a table that a wrong name leaves empty.
                output.table_row(_COST_HEADERS, widths)
            for cost in costs:
                if "error" in cost:
                    output.table_row((name, f"error: {cost['error']}"), (widths[0], 0))
                    continue
                output.table_row(_cost_row(cost), widths)
                measured += 1
    return 0 if measured else 1


def _cost_row(cost: dict[str, Any]) -> tuple[object, ...]:
    about = "~" if cost.get("estimated") else ""
    tokens = cost.get("tokens")
    return (
        cost["name"], "" if tokens is None else f"{about}{tokens}", output.percent(cost.get("share")),
        output.milliseconds(cost.get("cold_ms")), output.milliseconds(cost.get("warm_ms")),
        output.milliseconds(cost.get("first_token_ms")),
        cost.get("model"),
    )  # fmt: skip


def _configure_path(parser: ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a skill's folder, its SKILL.md or an old YAML file")


def _configure_validate(parser: ArgumentParser) -> None:
    _configure_path(parser)
    add_json(parser)


def _validate(args: Namespace) -> int:
    with connect() as client:
        result = client.call("skill.validate", path=daemon_path(args.path))
    if args.json:
        output.json_line(result)
    else:
        for problem in result["problems"]:
            output.paragraph(problem)
        output.flush()
        if result["ok"]:
            output.line("ok")
    return 0 if result["ok"] else 1


def _configure_new(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="small letters, digits and hyphens")


def _new(args: Namespace) -> int:
    name = args.name.replace("_", "-")
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise UsageError(
            f"{args.name[:80] or 'an empty word'} cannot be a skill's name",
            hint="take small letters, digits and single hyphens",
        )
    if name == AUTO:
        raise UsageError(f"{name} is what agent.default_skill calls a choice by the message", hint="take another name")
    if os.path.isdir(os.path.join(shipped("skills"), name)):
        raise AlreadyExists(
            f"{name} is a skill of agentgw's own, and yours would take its place",
            hint=f"take another name, or begin with a copy of it: agentgw skills edit {name}",
        )
    folder = os.path.join(_skills_dir(), name)
    path = os.path.join(folder, "SKILL.md")
    if os.path.lexists(folder):
        raise AlreadyExists(f"{folder} is there already", hint=f"agentgw skills edit {name}")
    make_private(folder)
    _write(path, _TEMPLATE.format(name=name).encode())
    output.line(path)
    return 0


def _configure_edit(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="its name")


def _edit(args: Namespace) -> int:
    """Opens a skill in the editor, of one that is shipped a copy, and checks what came of it."""
    skill = _listed(args.name)
    path = skill["path"]
    if skill["tier"] == "shipped":
        path = _copied(skill)
        output.notice(f"{skill['name']} is agentgw's own: this is a copy, which takes its place")
    if os.path.isdir(path):
        path = os.path.join(path, "SKILL.md")
    edit(path)
    with connect() as client:
        result = client.call("skill.validate", path=path)
    for problem in result["problems"]:
        output.complaint(problem)
    output.line(path)
    return 0 if result["ok"] else 1


def _copied(skill: dict[str, Any]) -> str:
    import shutil

    source = os.path.dirname(skill["path"])
    folder = os.path.join(_skills_dir(), os.path.basename(source))
    if os.path.lexists(folder):
        raise AlreadyExists(f"{folder} is there already, and is not used", hint="see agentgw skills")
    with private_umask():
        shutil.copytree(source, folder, copy_function=shutil.copyfile)
    # Folders are copied with their modes.
    for place, _, _ in os.walk(folder):
        os.chmod(place, 0o700)
    return os.path.join(folder, os.path.basename(skill["path"]))


def _configure_remove(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="its name")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _remove(args: Namespace) -> int:
    """Deletes the folder, or the old file, of one of the user's own skills."""
    skill = _listed(args.name)
    if skill["tier"] != "user":
        whose = "agentgw's own" if skill["tier"] == "shipped" else f"in {skill['path']}, which is not agentgw's"
        raise UsageError(f"{skill['name']} is {whose}", hint="only skills in your configuration are removed")
    path = skill["path"]
    place = os.path.dirname(path) if os.path.basename(path) == "SKILL.md" else path
    if os.path.dirname(place) != os.path.normpath(_skills_dir()):
        raise UsageError(f"{place} is not in {_skills_dir()}", hint="remove it there yourself")
    if not args.yes and is_interactive() and not agreed(f"Delete {place}?"):
        return 1
    _delete(place)
    output.notice(f"removed {place}")
    return 0


def _delete(place: str) -> None:
    import shutil

    try:
        # Of a link, the link.
        if os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        else:
            os.unlink(place)
    except OSError as error:
        raise SkillInvalid(f"{place} cannot be removed: {error.strerror}", hint="see agentgw doctor") from None


def _listed(name: str) -> dict[str, Any]:
    """The skill of that name, also a broken one; the one in use before others. Raises what `skill.get` does."""
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    with connect() as client:
        rows = [one for one in client.call("skill.list", cwd=working_directory())["skills"] if one["name"] == wanted]
        if not rows:
            rows = [client.call("skill.get", name=name, cwd=working_directory())["skill"]]
    # What is broken has to be mended, also where another stands in for it.
    found: dict[str, Any] = next((one for one in rows if "error" in one and "remedy" not in one), rows[0])
    return found


def _import(args: Namespace) -> int:
    with connect() as client:
        result = client.call("skill.import", path=daemon_path(args.path))
    if not result["ok"]:
        raise SkillInvalid(f"{args.path} cannot be imported: {'; '.join(result['problems'])}")
    for note in result["problems"]:
        output.notice(note)
    output.line(result["skill"]["path"])
    return 0


def _skills_dir() -> str:
    paths = Paths()
    prepare(paths)
    make_private(paths.skills_dir)
    return paths.skills_dir


def _write(path: str, data: bytes) -> None:
    with private_umask(), open(path, "xb") as file:
        file.write(data)


ACTIONS = {
    "list": Action(_list, "all skills, broken ones with their reason", "agentgw skills list --json", add_json),
    "show": Action(_show, "one skill with its instructions", "agentgw skills show code-assistant", _configure_show),
    "route": Action(_route, "which skill fits a message", 'agentgw skills route "review this code"', _configure_route),
    "validate": Action(_validate, "check a skill on disk", "agentgw skills validate ./my-skill", _configure_validate),
    "cost": Action(_cost, "what a skill costs on this machine", "agentgw skills cost code-assistant", _configure_cost),
    "import": Action(_import, "take over an old YAML skill", "agentgw skills import old.yaml", _configure_path),
    "edit": Action(_edit, "open a skill in your editor", "agentgw skills edit my-skill", _configure_edit),
    "remove": Action(_remove, "delete one of your own", "agentgw skills remove my-skill", _configure_remove),
    "new": Action(_new, "begin a skill and print its file", "agentgw skills new my-skill", _configure_new),
}
