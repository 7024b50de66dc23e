"""`agentgw feedback`: whether answers were good, for whoever chooses skills and models."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect, model_reference, working_directory
from agentgw.cli.commands.stats import show_ratings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from agentgw.client import Client


def _configure_list(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=50, help="the latest so many")
    parser.add_argument("-s", "--skill", metavar="NAME", help="only of this skill's answers")
    parser.add_argument("-m", "--model", metavar="NAME", help="only of this model's answers")
    parser.add_argument("--rating", type=int, choices=(1, -1), help="only the good or the bad")
    add_json(parser)


def _list(args: Namespace) -> int:
    with connect() as client:
        page = client.call("feedback.list", limit=args.limit, skill=args.skill, model=args.model, rating=args.rating)
        counts = client.call("stats.get")["feedback"]
        if not page["ratings"]:
            check_names(client, args.skill, args.model)
    for name, wanted in (("skill", args.skill), ("model", args.model)):
        counts = [count for count in counts if wanted in (None, count[name])]
    if args.json:
        output.json_line({**page, "counts": counts})
        return 0
    if not page["ratings"] and (args.skill or args.model or args.rating):
        output.notice("no such answer is rated; agentgw feedback without options lists all")
    rows = [
        (
            output.short_id(one["turn_id"]),
            f"{one['rating']:+}",
            one["skill"],
            one["model"],
            one["message"],
            one.get("comment"),
        )
        for one in page["ratings"]
    ]
    output.table(rows, ("turn", "rating", "skill", "model", "message", "comment"))
    if counts:
        output.write("\n")
        show_ratings(counts)
    return 0


def check_names(client: Client, skill: str | None, model: str | None) -> None:
    """Raises NotFound for a skill or a model that does not exist, with the nearest: none of its answers is rated."""
    if skill is not None:
        client.call("skill.get", name=skill, cwd=working_directory())
    if model is not None:
        client.call("model.show", model=model_reference(client, model))


def _configure_add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "turn", metavar="TURN", nargs="?", help="a turn, or a session's last; without it the last of this directory"
    )
    parser.add_argument("--comment", metavar="TEXT", help="why")
    add_json(parser)


def _good(args: Namespace) -> int:
    return _add(args, 1)


def _bad(args: Namespace) -> int:
    return _add(args, -1)


def _add(args: Namespace, rating: int) -> int:
    here = working_directory() if args.turn is None else None
    with connect() as client:
        given = client.call("feedback.add", rating=rating, comment=args.comment, turn_id=args.turn, cwd=here)
    if args.json:
        output.json_line(given)
    else:
        # The question too: without a name it is a guess which turn was meant.
        output.table_row((f"{given['rating']:+}", given["turn_id"], given["message"]), (2, 0, 0))
    return 0


ACTIONS = {
    "list": Action(
        _list, "the ratings, and how many each skill and model has", "agentgw feedback list", _configure_list
    ),
    "+1": Action(_good, "the answer was good", "agentgw feedback +1", _configure_add),
    "-1": Action(_bad, "the answer was bad", 'agentgw feedback -1 --comment "too long"', _configure_add),
}
