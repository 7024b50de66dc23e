"""`agentgw search`: the best pieces of your documents for a question."""

from __future__ import annotations

import sys

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect, names, working_directory
from agentgw.cli.input.intake import stdin_text
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def configure(parser: ArgumentParser) -> None:
    """The arguments of `search`."""
    parser.add_argument(
        "query", metavar="QUERY", nargs="+", help='words or a question; "in quotes" a phrase; `-` is stdin'
    )
    parser.add_argument("-k", metavar="N", type=int, help="the number of pieces; without it, the setting rag.top_k")
    parser.add_argument("-c", "--collection", metavar="NAME", help="only this collection")
    parser.add_argument("--skills", metavar="S", action="append", default=[], help="only what this skill sees")
    parser.add_argument("--tags", metavar="T", action="append", default=[], help="only documents with this tag")
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints what was found, the best first."""
    query = stdin_text().strip() if args.query == ["-"] else " ".join(args.query)
    if not query:
        raise UsageError("there is no question", hint='try: agentgw search "when is the rent due?"')
    with connect() as client:
        found = client.call(
            "document.search", query=query, k=args.k, collection=args.collection, skills=names(args.skills, "--skills"),
            tags=names(args.tags, "--tags"), cwd=working_directory() if args.skills else None,
        )  # fmt: skip
    if found.get("notice"):
        output.notice(found["notice"])
    if args.json:
        output.json_line(found)
        return 0
    if not found["chunks"] and not found.get("notice"):
        output.notice("nothing was found")
    if output.is_terminal(sys.stdout):
        _for_a_person(found["chunks"])
    else:
        rows = [(_score(one), _place(one), one["title_path"], one["snippet"]) for one in found["chunks"]]
        output.table(rows, ("score", "place", "title", "text"))
    return 0


def _for_a_person(chunks: list[dict[str, Any]]) -> None:
    """A place a line, and below it what it says: behind three columns that would be cut off."""
    for one in chunks:
        output.table_row((_score(one), _place(one), one["title_path"]), (0, 0, 0))
        output.paragraph(one["snippet"], indent=6)
        for source in one.get("also_in") or ():
            output.paragraph(f"also in {source}", indent=6)
    output.flush()


def _score(chunk: dict[str, Any]) -> str:
    return f"{chunk['score']:.2f}"


def _place(chunk: dict[str, Any]) -> str:
    first, last = chunk["lines"]
    return f"{chunk['source']}:{first}" if first == last else f"{chunk['source']}:{first}-{last}"
