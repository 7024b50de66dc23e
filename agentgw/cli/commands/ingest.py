"""`agentgw ingest`: store files and folders, so that they can be found."""

from __future__ import annotations

import os
import signal

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect, daemon_path, fetched, is_elsewhere, names, working_directory
from agentgw.cli.input.intake import is_piped, read_stdin
from agentgw.cli.terminal.times import local
from agentgw.local.paths import absolute
from agentgw.protocol.errors import InvalidParams, ModelUnavailable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from typing import Any, Final

    from agentgw.client import Client

_STDIN: Final = "-"
_STDIN_NAME: Final = "stdin"
# Escaped for the wire a text grows, sixfold at worst; a frame holds a mebibyte.
_INLINE_BYTES: Final = 128 << 10


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="files and folders; `-`, or nothing in a pipe, is standard input")
    add("--skills", metavar="S", action="append", help="only this skill sees them; may be repeated, empty: all do")
    add("--tags", metavar="T", action="append", help="a label; may be repeated, empty: none")
    add("-c", "--collection", metavar="NAME", help="the collection to put them in (default: default)")
    add("--chunk-size", metavar="N", type=int, help="tokens of a chunk")
    add("--exclude", metavar="GLOB", action="append", help="left out of folders, as a line of a .gitignore")
    add("--source", metavar="NAME", help="a name for standard input, or for the one file: notes.md")
    add("--prune", action="store_true", help="remove documents of the folders whose files are gone, or left out by now")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--watch", action="store_true", help="follow the folders from now on, also after a restart")
    which.add_argument("--unwatch", action="store_true", help="follow them no more; the documents stay")
    which.add_argument("--watched", action="store_true", help="list the folders that are followed")
    add_json(parser)
    add("-q", "--quiet", action="store_true", help="no progress and no notices")


def run(args: Namespace) -> int:
    """Stores what is new or has changed; or lists or lets go of followed folders."""
    if args.quiet:
        output.be_quiet()
    if args.watched:
        return _list_watched(args)
    if args.unwatch:
        return _unwatch(args)
    if is_elsewhere() and (args.watch or args.prune):
        flag = "--watch" if args.watch else "--prune"
        raise UsageError(
            f"{flag} needs the folder where the daemon is, and that is another machine",
            hint="ingest it over there, or again from here when it has changed",
        )
    # The copy of what was piped in goes, however this ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _IngestInput(args) as given, connect() as client:
        try:
            return _ingest(client, args, given)
        except ModelUnavailable as error:
            from agentgw.cli.commands.pull import offer_suggested

            if not offer_suggested(client, error):
                raise
        return _ingest(client, args, given)


def _ingest(client: Client, args: Namespace, given: _IngestInput) -> int:
    if client.where and given.paths is not None:
        result = _send(client, args, given)
    else:
        result = _store(client, args, paths=given.paths, text=given.text, source=given.source)
    return _tell(args, result, given.paths or ())


def _send(client: Client, args: Namespace, given: _IngestInput) -> dict[str, Any]:
    """Stores files of this machine with a daemon on another; gives the counts of all of them."""
    from agentgw.cli.input.sending import files_of, upload, uploaded_name

    files = files_of(given.paths or [], args.exclude or [])
    if given.source is not None and len(files) > 1:
        raise UsageError("--source names one document, not several")
    total: dict[str, Any] = {"added": 0, "updated": 0, "unchanged": 0, "chunks": 0}
    for number, path in enumerate(files, 1):
        if len(files) > 1:
            output.notice(f"{number}/{len(files)} {output.one_line(path)}")
        try:
            result = _store(client, args, upload=upload(client, path), source=given.source or uploaded_name(path))
        except (UsageError, InvalidParams) as error:
            # This one cannot be sent; the others may.
            result = {"failed": [{"source": path, "reason": error.message}], "failed_count": 1}
        for name, value in result.items():
            total[name] = total.get(name, type(value)()) + value
    return total


def _store(
    client: Client, args: Namespace, *, source: str | None, paths: list[str] | None = None, text: str | None = None,
    upload: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    from agentgw.cli.terminal.progress import IngestProgress

    bar = IngestProgress()
    try:
        stream = client.stream(
            "document.ingest", paths=paths, text=text, upload=upload, source=source,
            skills=names(args.skills, "--skills", may_be_empty=True),
            tags=names(args.tags, "--tags", may_be_empty=True), collection=args.collection, chunk_size=args.chunk_size,
            exclude=args.exclude if upload is None else None, prune=args.prune or None, watch=args.watch or None,
            cwd=working_directory() if args.skills else None,
        )  # fmt: skip
        for notification in stream:
            if notification.method == "document.progress":
                bar.update(notification.params)
    except KeyboardInterrupt:
        bar.close()
        output.notice("stopped; what is stored stays, and the same line again goes on from there")
        raise
    finally:
        bar.close()
    return dict(stream.result)


def _tell(args: Namespace, result: dict[str, Any], named: Sequence[str]) -> int:
    """Prints the result of the ingest; gives the exit status: 1 when all failed, or one of the paths that were `named`.

    A folder in which one file of many cannot be read is no failure: jobs and scripts store it every day.
    """
    for failure in result.get("failed", ()):
        output.complaint(f"{failure['source']}: {failure['reason']}")
    _tell_cut(result, "failed", "more cannot be read")
    for noted in result.get("notes", ()):
        output.notice(f"{noted['source']}: {noted['note']}")
    if result.get("vanished_count"):
        output.notice(f"{result['vanished_count']} documents have no file now, or one left out; --prune removes them")
    if args.json:
        output.json_line(result)
    else:
        output.line(_summary(result))
    done = sum(result.get(name, 0) for name in ("added", "updated", "unchanged", "removed_count"))
    if any(failure["source"] in named for failure in result.get("failed", ())):
        return 1
    return 1 if result.get("failed_count") and not done else 0


def _tell_cut(result: dict[str, Any], name: str, text: str) -> None:
    left = result.get(f"{name}_count", 0) - len(result.get(name, ()))
    if left:
        output.complaint(f"{left} {text}")


def _summary(result: dict[str, Any]) -> str:
    names = ("added", "updated", "unchanged", "removed_count", "failed_count", "skipped")
    counted = [(name.removesuffix("_count"), result.get(name, 0)) for name in names]
    parts = [f"{count} {name}" for name, count in counted if count or name in ("added", "unchanged")]
    return f"{', '.join(parts)}; {result['chunks']} new chunks"


def _list_watched(args: Namespace) -> int:
    found = fetched(args, "document.watched")
    if found is None:
        return 0
    rows = [
        (one["path"], one["collection"], one["state"], local(one.get("updated_at")), one.get("error"))
        for one in found["folders"]
    ]
    output.table(rows, ("folder", "collection", "state", "looked at", ""))
    return 0


def _unwatch(args: Namespace) -> int:
    if not args.paths:
        raise UsageError("which folder?", hint="agentgw ingest --watched lists them")
    with connect() as client:
        for path in args.paths:
            client.call(
                "document.unwatch",
                path=daemon_path(path) if client.where else _address(path),
                collection=args.collection,
            )
            output.notice(f"{path} is followed no more; its documents stay")
    return 0


class _IngestInput:
    """The input to be stored: paths, or a text. Leaving removes the copy that was made of standard input, if one
    was.
    """

    def __init__(self, args: Namespace) -> None:
        self._copy = ""
        self.paths: list[str] | None = None
        self.text: str | None = None
        self.source: str | None = args.source
        paths = args.paths
        if _STDIN in paths or (not paths and is_piped()):
            if len(paths) > 1:
                raise UsageError("standard input is stored alone", hint="see agentgw ingest --help")
            if args.watch:
                raise UsageError("standard input cannot be followed", hint="name a folder")
            self._take_stdin(self.source or _STDIN_NAME)
        elif not paths:
            raise UsageError("there is nothing to store", hint="try: agentgw ingest ~/notes")
        else:
            self.paths = [_address(path) for path in paths]

    def __enter__(self) -> _IngestInput:
        return self

    def __exit__(self, *_: object) -> None:
        if self._copy:
            os.unlink(self._copy)

    def _take_stdin(self, source: str) -> None:
        self.source = source
        data = read_stdin(_INLINE_BYTES)
        if not data.strip():
            raise UsageError("standard input is empty", hint="try: agentgw ingest ~/notes")
        self.text = _decoded(data) if len(data) <= _INLINE_BYTES else None
        if self.text is not None:
            return
        import shutil
        import tempfile

        # Large, or no text, such as a PDF: the daemon opens a file of ours, private and gone afterwards.
        descriptor, self._copy = tempfile.mkstemp(suffix=os.path.splitext(source)[1])
        try:
            with open(descriptor, "wb") as copy:
                copy.write(data)
                with open(0, "rb", closefd=False) as rest:
                    shutil.copyfileobj(rest, copy)
        except OSError as error:
            os.unlink(self._copy)
            raise UsageError(f"standard input cannot be copied: {error.strerror}", hint="free disk space") from None
        except KeyboardInterrupt:
            os.unlink(self._copy)
            raise
        self.paths = [_address(self._copy)]


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _address(path: str) -> str:
    """The path from the root; JSON has no words for one that is not UTF-8, so that becomes an address."""
    path = absolute(path)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        from urllib.parse import quote_from_bytes

        return "file://" + quote_from_bytes(os.fsencode(path))
    return path
