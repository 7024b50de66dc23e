"""`agentgw models`: what answers."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect, fetched, model_reference
from agentgw.cli.commands.pull import configure as configure_pull
from agentgw.cli.commands.pull import run as pull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def _list(args: Namespace) -> int:
    found = fetched(args, "model.list")
    if found is None:
        return 0
    rows = [
        ("*" if model.get("default") else "", model["name"], model["state"].replace("_", " "),
         output.size(model.get("size_bytes")), model.get("licence"), model.get("description"))
        for model in found["models"]
    ]  # fmt: skip
    output.table(rows, ("", "name", "state", "size", "licence", "description"), whole=2)
    return 0


def _recommend(args: Namespace) -> int:
    found = fetched(args, "model.recommend")
    if found is None:
        return 0
    rows = []
    for model in found["models"]:
        rate = model.get("tokens_per_s")
        expected = "" if model.get("measured") else "about "
        rows.append((
            model["name"], output.size(model["download_bytes"]) if model["download_bytes"] else "here",
            output.size(model["need_bytes"]), f"{expected}{rate:g} tokens/s" if rate is not None else "unknown",
            model.get("licence"), model.get("reason") or model.get("description"),
        ))  # fmt: skip
    output.table(rows, ("name", "download", "memory", "rate", "licence", "good at, or why it does not fit"), whole=1)
    if (bandwidth := found.get("bandwidth_bytes_per_s")) is not None:
        output.notice(f"memory: {output.size(bandwidth)}/s, measured with {found['threads']} threads")
    memory = found.get("memory_bytes")
    free = f"{output.size(memory)} of memory, " if memory is not None else ""
    output.notice(f"free: {free}{output.size(found['disk_bytes'])} of disk; sizes as of {found['dated']}")
    if "best" in found:
        output.notice(f"the best that fits: agentgw pull {found['best']}")
    return 0


def _configure_name(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="NAME", help="its name or reference")


def _configure_show(parser: ArgumentParser) -> None:
    _configure_name(parser)
    add_json(parser)


def _show(args: Namespace) -> int:
    with connect() as client:
        found = client.call("model.show", model=model_reference(client, args.model))
    if args.json:
        output.json_line(found)
        return 0
    facts = dict(found["model"])
    if "size_bytes" in facts:
        facts["size_bytes"] = f"{facts['size_bytes']} ({output.size(facts['size_bytes'])})"
    output.pairs([*facts.items(), *_tuning(found), *sorted(found["metadata"].items())])
    return 0


def _tuning(found: dict[str, Any]) -> list[tuple[str, object]]:
    """Rows for the settings a model runs with here, those it would run best with, and the figures."""
    rows: list[tuple[str, object]] = []
    for name in ("running", "tuned"):
        if tuning := found.get(name):
            rows.append((name, ", ".join(f"{key} {value}" for key, value in tuning.items())))
    for one in found.get("measured") or ():
        what = f"{one['streams']} streams" if one["streams"] else f"a prompt in batches of {one['batch_tokens']}"
        how = f"attention {one['attention']}, threads {one['threads']}"
        rows.append(("measured", f"{one['tokens_per_s']:.1f} tokens/s: {what}, {how}"))
    return rows


def _remove(args: Namespace) -> int:
    with connect() as client:
        client.call("model.remove", model=model_reference(client, args.model))
    output.notice(f"removed {args.model}")
    return 0


def _load(args: Namespace) -> int:
    with connect() as client:
        output.line(client.call("model.load", model=model_reference(client, args.model))["name"])
    return 0


def _unload(args: Namespace) -> int:
    with connect() as client:
        client.call("model.unload", model=model_reference(client, args.model))
    output.notice(f"unloaded {args.model}")
    return 0


def _default(args: Namespace) -> int:
    with connect() as client:
        output.line(client.call("model.default", model=model_reference(client, args.model))["name"])
    return 0


ACTIONS = {
    "list": Action(_list, "what can be used or pulled; * is the default", "agentgw models list --json", add_json),
    "recommend": Action(
        _recommend, "what this machine can run, best first", "agentgw models recommend --json", add_json
    ),
    "pull": Action(pull, "download a model", "agentgw models pull smollm2:135m", configure_pull),
    "show": Action(_show, "one model and its metadata", "agentgw models show smollm2:135m", _configure_show),
    "remove": Action(_remove, "delete a pulled model's file", "agentgw models remove smollm2:135m", _configure_name),
    "load": Action(_load, "start its worker", "agentgw models load smollm2:135m", _configure_name),
    "unload": Action(_unload, "end its worker", "agentgw models unload smollm2:135m", _configure_name),
    "default": Action(_default, "make it the default", "agentgw models default smollm2:135m", _configure_name),
}
