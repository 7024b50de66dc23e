"""`agentgw replay`: a turn once more, beside what is on record of it."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect, model_reference
from agentgw.cli.terminal.progress import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

    from agentgw.client import Stream

DIFFERENT: Final = 1
# Reason why two texts may be compared at all: see `turn.replay`.
_COMPARED: Final = {
    "greedy": "both without chance", "seed": "both computed anew with the seed that was given",
    "loose": "with the turn's seed; the last bits may differ, for no seed was given",
    "chance": "by chance: an endpoint, or no seed is on record",
}  # fmt: skip
_COLOURS: Final = {"same": "", "gone": output.RED, "new": output.GREEN}


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("turn", metavar="TURN|SESSION", help="the turn, or a session for its latest one")
    parser.add_argument("-m", "--model", help="another model than it had")
    add_skill_text(parser, "recorded")
    add_json(parser)
    parser.epilog = (
        f"{parser.epilog}\n\nThe answers are compared, and the tool calls, which are answered from the record and never"
        " carried\nout. Exit status: 0 identical, 1 different."
    )


def add_skill_text(parser: ArgumentParser, default: str) -> None:
    """The option that says which text of its skill a turn gets."""
    parser.add_argument(
        "--skill-text", choices=("recorded", "current"), default=default,
        help=f"the skill's instructions as they were, or as they are now ({default})",
    )  # fmt: skip


def run(args: Namespace) -> int:
    """Prints the comparison."""
    with connect(warm=True) as client:
        model = model_reference(client, args.model) if args.model is not None else None
        stream = client.stream("turn.replay", turn_id=args.turn, model=model, skill_text=args.skill_text)
        result = replayed(stream, Status())
    if args.json:
        output.json_line(result)
    else:
        _show(result)
    return 0 if result["identical"] else DIFFERENT


def replayed(stream: Stream, status: Status) -> dict[str, Any]:
    """The result of a `turn.replay`, with its progress on a terminal."""
    try:
        for notification in stream:
            said = notification.params
            status.show(
                str(said.get("phase")), said.get("done", 0), said.get("total", 0), said.get("position")
            )  # fmt: skip
    finally:
        status.erase()
    result: dict[str, Any] = stream.result
    return result


def alike(similarity: float) -> str:
    """The similarity for people, as a percentage: 100% is the same words."""
    return f"{int(similarity * 100)}%"


def _show(result: dict[str, Any]) -> None:
    before, after = result["recorded"], result["replayed"]
    output.line("identical" if result["identical"] else f"different, answers {alike(result['similarity'])} alike")
    if before["text"] != after["text"]:
        _show_diff(before["text"], after["text"])
    rows: list[tuple[str, object]] = [("compared", _COMPARED.get(result["compared"], result["compared"]))]
    rows += [("prompt", result["prompt"]), *(("", reason) for reason in result["reasons"])]
    rows += [("call", _call(call)) for call in result["calls"]]
    rows += [
        ("end", _pair(_end(before), _end(after))), ("prompt tokens", _count(before, after, "prompt_tokens")),
        ("answer tokens", _count(before, after, "completion_tokens")), ("prefill", _time(before, after, "prefill_ms")),
        ("decode", _time(before, after, "decode_ms")),
    ]  # fmt: skip
    output.pairs(rows)


def _show_diff(before: str, after: str) -> None:
    from agentgw.cli.terminal.word_diff import marked, pieces

    for change, text in pieces(before, after):
        output.write_coloured(marked(change, text), _COLOURS[change])
    output.write("\n\n")


def _call(call: dict[str, Any]) -> str:
    words = {"same": "the same", "missing": "not made again", "new": "new"}
    change = words.get(call["change"], call["change"])
    unknown = "" if call["recorded"] or call["change"] == "missing" else ", no result on record: not carried out"
    return f"{call['tool']} {call['arguments']}: {change}{unknown}"


def _end(side: dict[str, Any]) -> str:
    return str(side.get("error") or side.get("finish_reason") or "cut off")


def _count(before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    return _pair(str(before["usage"][name]), str(after["usage"][name]))


def _time(before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    return _pair(*(output.milliseconds(side["timings"][name]) for side in (before, after)))


def _pair(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"
