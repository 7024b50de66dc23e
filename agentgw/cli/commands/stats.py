"""`agentgw stats`: how much was asked and answered."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, fetched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints the counts."""
    stats = fetched(args, "stats.get")
    if stats is None:
        return 0
    output.pairs(
        (
            ("sessions", stats["sessions"]),
            ("turns", f"{stats['turns']}{_parts(stats['turns_by_state'])}"),
            ("messages", stats["messages"]),
            ("tokens", f"{stats['completion_tokens']} written"),
            ("models", _counted(stats["turns_by_model"]) or "none"),
            ("database", output.size(stats["db_bytes"])),
        )
    )
    if stats["feedback"]:
        output.write("\n")
        show_ratings(stats["feedback"])
    return 0


def show_ratings(counts: list[dict[str, object]]) -> None:
    """Good and bad answers by skill and model."""
    output.table(
        [(count["skill"], count["model"], count["good"], count["bad"]) for count in counts],
        ("skill", "model", "good", "bad"),
    )


def _parts(counts: Mapping[str, int]) -> str:
    return f": {_counted(counts)}" if counts else ""


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))
