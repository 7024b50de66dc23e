"""`agentgw webhooks`: who is told of events, what became of it, and whether it works."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect, fetched
from agentgw.cli.terminal.times import local
from agentgw.protocol.visible import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _configure_list(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=5, help="the latest N deliveries of each")
    parser.add_argument("--list", action="store_true", help="the same as `list`")
    add_json(parser)


def _list(args: Namespace) -> int:
    found = fetched(args, "webhook.list", deliveries=args.limit)
    if found is None:
        return 0
    for problem in found["problems"]:
        output.notice(f"left out: {problem}")
    hooks = found["webhooks"]
    rows = [
        (one["name"], one["state"], one["host"], _waiting(one), ", ".join(one["events"]) + _unsigned(one))
        for one in hooks
    ]
    output.table(rows, ("webhook", "state", "host", "waiting", "events"))
    latest = [delivery for one in hooks for delivery in one.get("deliveries") or ()]
    if latest:
        output.write("\n")
        output.table(
            [
                (local(one["created_at"]), one["webhook"], one["event"], one["state"], one["tries"], one.get("error"))
                for one in latest
            ],
            ("event of", "webhook", "event", "delivery", "tries", "error"),
        )
    if not hooks and not found["problems"]:
        output.notice("webhooks.yaml in the folder of `agentgw config path` has no webhook")
    return 0


def _waiting(hook: dict[str, object]) -> str:
    return f"{hook['pending']} ({hook['dropped']} lost)" if hook["dropped"] else str(hook["pending"])


def _unsigned(hook: dict[str, object]) -> str:
    return "" if hook["signed"] else " (not signed)"


def _configure_test(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="its name in webhooks.yaml")
    add_json(parser)


def _test(args: Namespace) -> int:
    with connect() as client:
        found = client.call("webhook.test", name=args.name)
    if args.json:
        output.json_line(found)
    elif found["ok"]:
        output.line(f"accepted: status {found['status']}, {found['duration_ms']:.0f} ms, {found['delivery_id']}")
    else:
        output.notice(f"webhook {escaped(args.name)} did not accept the test event: {escaped(found['error'])}")
    return 0 if found["ok"] else 1


ACTIONS = {
    "list": Action(
        _list, "the webhooks, and the latest that each was told", "agentgw webhooks list -n 20", _configure_list
    ),
    "test": Action(_test, "send a signed test event; exit 0: accepted", "agentgw webhooks test build", _configure_test),
}
