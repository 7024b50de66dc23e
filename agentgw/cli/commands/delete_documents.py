"""`agentgw delete-documents`: what was ingested is found no more; the files themselves stay."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, agreed, connect, is_elsewhere
from agentgw.cli.input.sending import uploaded_name
from agentgw.cli.turn_printer import is_interactive
from agentgw.local.paths import absolute
from agentgw.protocol.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def configure(parser: ArgumentParser) -> None:
    """The arguments of `delete-documents`."""
    parser.add_argument(
        "--source", metavar="S", action="append", default=[], help="this file, all below this folder, or this name"
    )
    parser.add_argument("--id", metavar="ID", action="append", default=[], help="this document, or the beginning of it")
    parser.add_argument("-c", "--collection", metavar="NAME", help="of this collection; alone: all of it")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_json(parser)


def run(args: Namespace) -> int:
    """Removes documents, after asking a person."""
    if not (args.source or args.id or args.collection):
        raise UsageError("nothing says which documents", hint="give --source, --id or --collection")
    sources = _sources(args.source)
    with connect() as client:
        if not args.yes:
            going = client.call(
                "document.delete", sources=sources, ids=args.id, collection=args.collection, dry_run=True
            )
            if going["documents"] and not _is_agreed(going):
                return 1
        gone = client.call("document.delete", sources=sources, ids=args.id, collection=args.collection)
    if not gone["documents"]:
        raise NotFound("no such document", hint="`agentgw documents` lists them")
    if args.json:
        output.json_line(gone)
    else:
        output.notice(f"deleted {_amount(gone)}")
    return 0


def _sources(given: list[str]) -> list[str]:
    """The sources as given, and as paths from the root: documents are stored under either."""
    made: list[str] = []
    for one in given:
        made += [one, uploaded_name(one) if is_elsewhere() else absolute(one)]
    # Bytes that are no UTF-8 are named the way listings show them.
    return [one.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for one in dict.fromkeys(made)]


def _is_agreed(going: dict[str, Any]) -> bool:
    if not is_interactive():
        raise UsageError(f"this would delete {_amount(going)}", hint="--yes does it without asking")
    return agreed(f"Delete {_amount(going)}?")


def _amount(counts: dict[str, Any]) -> str:
    documents, chunks = counts["documents"], counts["chunks"]
    return f"{documents} document{'' if documents == 1 else 's'} with {chunks} chunk{'' if chunks == 1 else 's'}"
