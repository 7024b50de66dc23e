"""`agentgw documents`: what was ingested."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, fetched_pages, names, tell_more, working_directory
from agentgw.cli.terminal.times import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """The arguments of `documents`."""
    parser.add_argument("--skills", metavar="S", action="append", default=[], help="labelled with this skill")
    parser.add_argument("--tags", metavar="T", action="append", default=[], help="with this tag")
    parser.add_argument("--source", metavar="TEXT", help="with this in their source, whatever the case")
    parser.add_argument("-n", "--limit", metavar="N", type=int, default=50, help="the last written so many")
    parser.add_argument("-c", "--collection", metavar="NAME", help="of this collection")
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints a document a line, the last written first."""
    page = fetched_pages(
        args, "document.list", "documents", collection=args.collection, source=args.source,
        skills=names(args.skills, "--skills"), tags=names(args.tags, "--tags"),
        cwd=working_directory() if args.skills else None,
    )  # fmt: skip
    if page is None:
        return 0
    rows = [
        (output.short_id(one["document_id"]), one["source"], one["chunks"], output.size(one["size_bytes"]),
         one["format"], one["collection"], one["skills"], one["tags"], local(one["updated_at"]))
        for one in page["documents"]
    ]  # fmt: skip
    headers = ("document", "source", "chunks", "size", "format", "collection", "skills", "tags", "written")
    output.table(rows, headers)
    if not page["documents"]:
        chosen = args.skills or args.tags or args.source is not None or args.collection is not None
        output.notice("there is no such document" if chosen else "nothing is stored yet: agentgw ingest ~/notes")
    tell_more(args, page)
    return 0
