"""`agentgw map`: a question about each record of standard input, an answer a line."""

from __future__ import annotations

import signal

from agentgw.cli import output
from agentgw.cli.commands import connect, is_loaded, model_reference, working_directory
from agentgw.cli.commands.run import OPTIONS, read_options, read_tools, seconds
from agentgw.protocol.errors import AgentgwError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

    from agentgw.cli.records.flow import Counts, RecordFormat
    from agentgw.cli.records.journal import AnswerJournal
    from agentgw.client import Client

# The slots that a local model has by default.
_AT_ONCE: Final = 4
_MORE: Final = """
Each line of standard input is put into the template in place of {}; the answers come in the same order, a line each, as
soon as they can. An empty line stays empty. A record that fails is named on standard error and leaves its line empty;
the exit status is then 1. Nothing is stored. Tools are used only where -t names them, and never ask."""


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add(
        "template",
        metavar="TEMPLATE",
        help="the question; {} is the record, {NAME} a field of it, {{ and }} are braces",
    )
    add("-j", "--jobs", metavar="N", type=int, default=_AT_ONCE, help=f"so many at once (default {_AT_ONCE})")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--null", action="store_true", help="records and answers end with a NUL")
    form.add_argument("--jsonl", action="store_true", help="JSON a line; the answer becomes a member of it")
    form.add_argument("--csv", action="store_true", help="CSV with a row of names; the answer becomes the last column")
    add("--into", metavar="NAME", default="answer", help="name of that member or column (default: answer)")
    add("-s", "--skill", help="the skill that answers")
    add("-m", "--model", help="the model to use")
    add("--system", metavar="TEXT", help="in place of the skill's instructions")
    add("-o", "--option", metavar="KEY=VALUE", action="append", default=[], help=f"sampling: {', '.join(OPTIONS)}")
    add("--schema", metavar="FILE|JSON|DSL", help="answers in JSON that meet this schema, as `agentgw run` takes it")
    add("-t", "--tool", metavar="TOOL[,TOOL…]", action="append", help="let it use these tools; without it, none")
    add("--approve", metavar="deny|TOOL[,TOOL…]", help="tools that need a yes and run unasked; the others are denied")
    add("--max-iterations", metavar="N", type=int, help="the most steps of the model for one record")
    add("--timeout", metavar="SECONDS", type=seconds, help="give a record up after so long")
    add("--resume", metavar="FILE", help="keep the answers in FILE; the same command again goes on from there")
    add("-q", "--quiet", action="store_true", help="no progress and no notices")
    parser.epilog = f"{parser.epilog}\n{_MORE}"


def run(args: Namespace) -> int:
    """Answers all records."""
    if args.quiet:
        output.be_quiet()
    from agentgw.cli.records.flow import MOST_AT_ONCE

    if not 1 <= args.jobs <= MOST_AT_ONCE:
        raise UsageError(f"-j takes 1 to {MOST_AT_ONCE}, not {args.jobs}", hint="a local model has inference.slots")
    options = read_options(args.option)
    tools = read_tools(args.tool) or []
    approvals = _read_approvals(args.approve)
    args.schema = _read_schema(args.schema) if args.schema is not None else None
    records = _format(args)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ask = {
        "piped": True, "skill": args.skill, "system": args.system, "options": options or None, "schema": args.schema,
        "tools": tools, "approvals": approvals, "max_iterations": args.max_iterations, "cwd": working_directory(),
        "ephemeral": True, "timeout_s": args.timeout, "model": args.model,
    }  # fmt: skip
    if args.resume is None:
        return _map(args, ask, records, None)
    from agentgw.cli.records.journal import AnswerJournal

    # What does not change an answer may be another the next time: how many at once, and how long.
    terms = {**ask, "cwd": None, "timeout_s": None, "template": args.template, "form": _form_of(args)}
    with AnswerJournal(args.resume, terms) as journal:
        return _map(args, ask, records, journal)


def _map(args: Namespace, ask: dict[str, Any], records: RecordFormat, journal: AnswerJournal | None) -> int:
    from agentgw.cli.input.intake import input_size
    from agentgw.cli.records.flow import Flow
    from agentgw.cli.terminal.progress import RecordMeter

    meter = RecordMeter(input_size())
    ask["whole"] = True

    def connected() -> Client:
        client = connect(warm=is_loaded(args.model))
        ask["model"] = model_reference(client, args.model) if args.model is not None else None
        return client

    flow = Flow(
        connected, ask, records, at_once=args.jobs, meter=meter, journal=journal, once=bool(ask["tools"])
    )  # fmt: skip
    try:
        flow.run()
    except KeyboardInterrupt:
        meter.erase()
        output.notice(f"interrupted after {flow.counts.answered} answers{_goes_on(args)}")
        return output.INTERRUPTED
    except AgentgwError as error:
        meter.erase()
        if args.resume is not None and flow.counts.answered:
            output.notice(f"the answers so far are in {args.resume}: the same command goes on from there")
        raise error
    finally:
        meter.erase()
        flow.close()
    return _end(args, flow.counts, bounded="max_tokens" in (ask["options"] or {}))


def _end(args: Namespace, counts: Counts, *, bounded: bool) -> int:
    if counts.cut and not bounded:
        output.notice(
            f"{counts.cut} answers were cut, by their most tokens (-o max_tokens=N) or by the end of the context"
        )
    if counts.failed:
        output.complaint(f"{counts.failed} of {counts.records} records failed{_tries_again(args)}")
        return output.FAILED
    return output.DENIED if counts.denied else 0


def _goes_on(args: Namespace) -> str:
    return f"; the same command goes on from {args.resume}" if args.resume is not None else ""


def _tries_again(args: Namespace) -> str:
    return "; the same command asks only about them again" if args.resume is not None else ""


def _format(args: Namespace) -> RecordFormat:
    from agentgw.cli.records.formats import CsvRows, JsonLines, Lines
    from agentgw.cli.records.template import Template

    template = Template(args.template, fields=args.csv or args.jsonl)
    if args.csv:
        return CsvRows(template, args.into)
    if args.jsonl:
        return JsonLines(template, args.into, answers_json=args.schema is not None)
    return Lines(template, b"\0" if args.null else b"\n")


def _form_of(args: Namespace) -> list[Any]:
    return [args.null, args.csv, args.jsonl]


def _read_schema(text: str) -> dict[str, Any]:
    from agentgw.cli.input.schema_shorthand import read_schema

    return read_schema(text)


def _read_approvals(text: str | None) -> list[str]:
    """The tools that run unasked; all others are denied. Raises UsageError for an empty word and for `ask`."""
    words = [word.strip() for word in (text or "deny").split(",")]
    if not all(words) or "ask" in words:
        raise UsageError(
            "--approve of map takes names of tools: nobody is asked about a thousand records",
            hint="name the tools that may run, or leave it out",
        )
    return [*words, *(["deny"] if "deny" not in words else [])]
