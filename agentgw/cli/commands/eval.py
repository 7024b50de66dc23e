"""`agentgw eval`: every rated turn once more, for whoever changed a skill, a model or an engine."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import PAGE, add_json, connect, model_reference
from agentgw.cli.commands.feedback import check_names
from agentgw.cli.commands.replay import add_skill_text, alike, replayed
from agentgw.cli.terminal.progress import Status
from agentgw.protocol.errors import RpcError, ShuttingDown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

    from agentgw.client import Client

# Answers as alike as this mostly say the same in other words. A judgement, to be read beside the mean.
SIMILAR_FROM: Final = 0.8
_OUTCOMES: Final = ("identical", "similar", "changed", "failed")


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("-s", "--skill", metavar="NAME", help="only this skill's answers")
    parser.add_argument("--model", metavar="NAME", help="only answers of this model")
    parser.add_argument("-m", dest="other", metavar="NEWMODEL", help="answer with this model")
    add_skill_text(parser, "current")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    add_json(parser)
    parser.epilog = (
        f"{parser.epilog}\n\nOne turn at a time, while nothing else wants to compute; tools are answered from the"
        "\nrecord, never carried out. An answer is similar when it is alike to at least "
        f"{SIMILAR_FROM:.0%}: twice the words and\npairs of words the two share, by how many both have."
        " Exit status: 0, or 1 when a turn could not be replayed."
    )


def run(args: Namespace) -> int:
    """Prints the report; Ctrl-C ends it with what there is by then."""
    if args.quiet:
        output.be_quiet()
    done: list[dict[str, Any]] = []
    with connect(warm=True) as client:
        model = model_reference(client, args.other) if args.other is not None else None
        if model is not None:
            # One that does not exist would fail each turn with the same words.
            client.call("model.show", model=model)
        ratings = _ratings(client, args)
        if not ratings:
            check_names(client, args.skill, args.model)
            output.notice("no such answer is rated; agentgw feedback +1 rates the last one")
        try:
            for number, rating in enumerate(ratings, 1):
                one = _replay(client, rating, model, args.skill_text)
                done.append(one)
                output.notice(f"{number} of {len(ratings)}: {rating['turn_id']} {rating['rating']:+} {_told(one)}")
        except KeyboardInterrupt:
            output.notice(f"interrupted after {len(done)} of {len(ratings)}")
    _report(done, len(ratings), as_json=args.json)
    if len(done) < len(ratings):
        return output.INTERRUPTED
    return 1 if any(one["outcome"] == "failed" for one in done) else 0


def _ratings(client: Client, args: Namespace) -> list[dict[str, Any]]:
    """The ratings asked for, sorted so that each model is loaded once."""
    found: list[dict[str, Any]] = []
    before: str | None = None
    while True:
        page = client.call("feedback.list", limit=PAGE, skill=args.skill, model=args.model, before=before)
        found += page["ratings"]
        before = page.get("next")
        if before is None:
            return sorted(found, key=lambda one: (one["model"], one["skill"], one["created_at"]))


def _replay(client: Client, rating: dict[str, Any], model: str | None, skill_text: str) -> dict[str, Any]:
    """One rated turn again, as the report has it."""
    made = {name: rating[name] for name in ("turn_id", "skill", "model", "rating")}
    try:
        stream = client.stream(
            "turn.replay", turn_id=rating["turn_id"], model=model, skill_text=skill_text, background=True
        )
        result = replayed(stream, Status())
    except ShuttingDown:
        raise
    except RpcError as error:
        return {**made, "outcome": "failed", "error": error.message}
    similar = result["similarity"] >= SIMILAR_FROM
    outcome = "identical" if result["identical"] else "similar" if similar else "changed"
    kept = {name: result[name] for name in ("similarity", "compared", "prompt", "reasons")}
    return {**made, "outcome": outcome, "new_model": result["replayed"]["model"], **kept}


def _told(one: dict[str, Any]) -> str:
    if one["outcome"] == "failed":
        return f"failed: {one['error']}"
    return f"{one['outcome']}, {alike(one['similarity'])} alike"


def _report(done: list[dict[str, Any]], rated: int, *, as_json: bool) -> None:
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for one in done:
        groups.setdefault((one["skill"], one["model"], one["rating"]), []).append(one)
    rows = [
        {"skill": skill, "model": model, "rating": rating, **_counts(members)}
        for (skill, model, rating), members in sorted(groups.items(), key=lambda item: (*item[0][:2], -item[0][2]))
    ]
    totals = [
        {"rating": rating, **_counts([one for one in done if one["rating"] == rating])} for rating in (1, -1)
    ]  # fmt: skip
    if as_json:
        output.json_line(
            {"rated": rated, "similar_from": SIMILAR_FROM, "groups": rows, "totals": totals, "turns": done}
        )
        return
    columns = ("rating", "turns", *_OUTCOMES)
    table = [
        (row.get("skill", "all"), row.get("model", ""), f"{row['rating']:+}", *(row[name] for name in columns[1:]),
         "" if row["similarity"] is None else alike(row["similarity"]))
        for row in (*rows, *totals)
    ]  # fmt: skip
    output.table(table, ("skill", "model", *columns, "alike"))
    chance = sum(one.get("compared") in ("chance", "loose") and one["outcome"] != "identical" for one in done)
    if chance:
        output.notice(f"{chance} of these may differ by chance: the reasons in --json and in agentgw replay say why")


def _counts(members: list[dict[str, Any]]) -> dict[str, Any]:
    """The number of each outcome, and the mean similarity of those that could be replayed."""
    figures = [one["similarity"] for one in members if "similarity" in one]
    return {
        "turns": len(members),
        **{outcome: sum(one["outcome"] == outcome for one in members) for outcome in _OUTCOMES},
        "similarity": round(sum(figures) / len(figures), 4) if figures else None,
    }
