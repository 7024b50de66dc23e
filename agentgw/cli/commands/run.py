"""`agentgw run`: one message, one answer."""

from __future__ import annotations

import os
import sys

from agentgw.cli import output
from agentgw.cli.commands import (
    connect,
    is_elsewhere,
    is_loaded,
    last_session,
    model_reference,
    names,
    working_directory,
)
from agentgw.cli.input.intake import file_text, is_piped, shown_name, stdin_text
from agentgw.cli.timelimit import TimeLimit
from agentgw.cli.turn_printer import FORMATS, TurnPrinter, follow
from agentgw.protocol.errors import AgentgwError, ContextOverflow, ModelUnavailable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from typing import Any, Final

    from agentgw.cli.usage_file import UsageFile
    from agentgw.client import Client

# The names of `types.Options` with what turns a word into a value.
OPTIONS: Final = {
    "temperature": float, "top_k": int, "top_p": float, "min_p": float, "repeat_penalty": float, "seed": int,
    "max_tokens": int, "stop": str,
}  # fmt: skip
_STDIN: Final = "-"


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("text", nargs="*", metavar="TEXT", help="the message; piped input is appended to it, `-` is that input alone")
    add("-s", "--skill", help="the skill that answers")
    add("-m", "--model", help="the model to use")
    add("--system", metavar="TEXT", help="in place of the skill's instructions")
    add("-o", "--option", metavar="KEY=VALUE", action="append", default=[], help=f"sampling: {', '.join(OPTIONS)}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "-c", "--continue", dest="continued", action="store_true", help="go on with the last session started here"
    )
    which.add_argument("--session", metavar="ID", help="go on with this session")
    which.add_argument("--no-session", action="store_true", help="store nothing")
    add(
        "-f",
        "--file",
        metavar="FILE",
        action="append",
        default=[],
        help="one file for the message; `-` is stdin",
    )
    add(
        "--schema", metavar="FILE|JSON|DSL",
        help='answer in JSON that meets this schema: a file, JSON Schema itself, or the like of "name, age int"',
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", dest="form", const="json", help="print the result as JSON")
    form.add_argument(
        "--output-format", dest="form", choices=FORMATS, metavar="FORM", help=f"{', '.join(FORMATS)} (each event)"
    )
    parser.set_defaults(form="text")
    tools = parser.add_mutually_exclusive_group()
    tools.add_argument(
        "-t", "--tool", metavar="TOOL[,TOOL…]", action="append", help="let it use these tools and no others"
    )
    tools.add_argument("--no-tools", action="store_const", dest="tool", const=[], help="let it use none")
    add("--max-iterations", metavar="N", type=int, help="the most steps of the model")
    add(
        "--approve", metavar="ask|deny|TOOL[,TOOL…]",
        help="tool calls that need a yes: asked about, denied, or these tools run unasked",
    )  # fmt: skip
    add("-x", "--extract", action="store_true", help="print the last code block alone; without one, the whole answer")
    add(
        "-e", "--execute", action="store_true",
        help="propose a shell command for the task: a terminal is asked what to do with it, a pipe gets it printed",
    )  # fmt: skip
    add("--usage-file", metavar="FILE", help="write tokens, times and the exit status to FILE as JSON, also on failure")
    add("--no-stream", action="store_true", help="print the answer when it is complete")
    add("--timeout", metavar="SECONDS", type=seconds, help="give up after so long; a detached turn ends then")
    add("--detach", action="store_true", help="print the turn's id and let it go on; see `agentgw attach`")
    add("--dry-run", action="store_true", help="print the prompt that would be sent, count its parts, run nothing")
    add("-q", "--quiet", action="store_true", help="no progress and no notices")


def run(args: Namespace) -> int:
    """Answers the message."""
    if args.quiet:
        output.be_quiet()
    options = read_options(args.option)
    args.tool = read_tools(args.tool)
    if args.extract and args.form != "text":
        raise UsageError(
            "-x does not go with --json or --output-format", hint="leave one of them out: JSON has the whole answer"
        )
    # With a schema, standard output is a JSON text or nothing.
    streamed = not (args.no_stream or args.dry_run or args.schema is not None)
    answer = TurnPrinter(
        args.form, streamed=streamed, extract=args.extract, bounded="max_tokens" in options,
        exact=args.schema is not None,
    )  # fmt: skip
    if args.execute:
        return _propose(args, options)
    usage = _usage_file(args.usage_file) if args.usage_file is not None else None
    status, failure = output.INTERRUPTED, ""
    try:
        status = _run(args, options, answer)
    except AgentgwError as error:
        status, failure = error.exit_status, error.message
        error.partial = answer.partial()
        raise
    except BrokenPipeError:
        status = output.CLOSED_PIPE
        raise
    finally:
        if usage is not None:
            usage.write(answer.facts(), exit_status=status, error=failure)
    return status


def _usage_file(path: str) -> UsageFile:
    from agentgw.cli.usage_file import UsageFile

    return UsageFile(path)


def _propose(args: Namespace, options: dict[str, Any]) -> int:
    """The command for a task. Raises UsageError beside options that are about answers."""
    others = {
        "--schema": args.schema is not None, "--detach": args.detach, "--dry-run": args.dry_run, "-x": args.extract,
        "--session": args.session is not None, "-c": args.continued, "-t": bool(args.tool), "-f": bool(args.file),
        "--json or --output-format": args.form != "text", "--usage-file": args.usage_file is not None,
        "-s": args.skill is not None,
    }  # fmt: skip
    if wrong := [name for name, given in others.items() if given]:
        raise UsageError(f"-e does not go with {wrong[0]}", hint='try: agentgw run -e "find files over 1 GB"')
    task, piped = read_message(args.text, stdin_used=False)
    if not task.strip():
        raise UsageError("there is no task", hint='try: agentgw run -e "find files over 1 GB"')
    from agentgw.cli.asking.proposal import propose

    return propose(args, task, options, piped=piped)


def _run(args: Namespace, options: dict[str, Any], answer: TurnPrinter) -> int:
    with TimeLimit(args.timeout) as limit:
        if args.skill is not None and not args.skill.strip():
            raise UsageError("the skill's name is empty", hint="agentgw skills lists them")
        args.schema = _read_schema(args.schema) if args.schema is not None else None
        if "" in args.file:
            raise UsageError("the file's name is empty", hint="-f FILE takes one file; -f - is standard input")
        if args.file:
            _refuse_stray_files(args.text)
        files = [_read_file(path) for path in args.file]
        message, piped = read_message(args.text, stdin_used=_STDIN in args.file)
        if not message.strip() and not any(file["text"].strip() for file in files):
            raise UsageError("there is no message", hint='try: agentgw run "why is the sky blue?"')
        connected = connect(warm=is_loaded(args.model))
    if working_directory() is None and not is_elsewhere():
        output.notice("this directory is gone, or its name is not UTF-8: tools work in your home directory")
    with connected as client:
        client.limit(limit.rest_s(), told_s=args.timeout)
        # Nobody is there to end a detached turn: the daemon does.
        args.turn_timeout = limit.rest_s() if args.detach else None
        if args.continued:
            args.session = _last_session(client)
        try:
            return _ask(client, args, message, files, options, piped, answer)
        except ModelUnavailable as error:
            from agentgw.cli.commands.pull import offer_suggested

            if not offer_suggested(client, error):
                raise
        client.limit(args.timeout)
        return _ask(client, args, message, files, options, piped, answer)


def _ask(
    client: Client,
    args: Namespace,
    message: str,
    files: Sequence[dict[str, Any]],
    options: dict[str, Any],
    piped: bool,
    answer: TurnPrinter,
) -> int:
    stream = client.stream(
        "turn.start",
        message=message,
        piped=piped or None,
        skill=args.skill,
        session_id=args.session,
        model=model_reference(client, args.model) if args.model is not None else None,
        system=args.system,
        options=options or None,
        schema=args.schema,
        files=files or None,
        tools=args.tool,
        max_iterations=args.max_iterations,
        approvals=read_approvals(args.approve),
        cwd=working_directory(),
        ephemeral=args.no_session or None,
        detach=args.detach or None,
        timeout_s=args.turn_timeout,
        dry_run=args.dry_run or None,
    )
    if args.detach and args.form == "text":
        for _ in stream:
            pass
        if args.approve is None and not output.is_terminal(sys.stderr):
            output.notice("calls that need a yes are denied; --approve ask has them wait, see agentgw approvals")
        output.line(str(stream.result["turn_id"]))
        return 0
    if not args.dry_run or args.form != "text":
        return follow(client, stream, answer)
    try:
        status = follow(client, stream, answer)
    except ContextOverflow as error:
        output.numbers([(part["name"], part["tokens"]) for part in error.data.get("parts", ())])
        raise
    if stream.result:
        _tell_tokens(stream.result)
    return status


def _tell_tokens(result: dict[str, Any]) -> None:
    """Prints the parts of a dry run's prompt, and what a turn would leave out of it."""
    output.numbers([(part["name"], part["tokens"]) for part in result.get("parts", ())])
    tokens, fit = result["usage"]["prompt_tokens"], result.get("fit", {})
    context = fit.get("n_ctx_tokens")
    share = f", {output.percent(tokens / context)} of the context of {context}" if context else ""
    output.notice(f"{'about ' if fit.get('estimated') else ''}{tokens} tokens{share}")
    if turns := fit.get("summarised_turns", 0):
        output.notice(f"{_oldest(turns)} would be shown as the summary there is")
    if turns := fit.get("left_out_turns", 0):
        output.notice(f"{_oldest(turns)} ({fit['left_out_tokens']} tokens) would be left out")
    if turns := fit.get("to_summarise_turns", 0):
        output.notice(f"the turn would first try to have {_oldest(turns)} summarised, for which it asks the model")


def _oldest(turns: int) -> str:
    return "the oldest turn" if turns == 1 else f"the {turns} oldest turns"


def read_approvals(text: str | None) -> list[str]:
    """The words of `--approve`, and what becomes of the tools it does not name: asked about if somebody is there.

    Raises UsageError for an empty word.
    """
    words = [word.strip() for word in text.split(",")] if text is not None else []
    if not all(words):
        raise UsageError("--approve has an empty word", hint="write ask, deny, or names of tools with commas between")
    if "ask" in words and "deny" in words:
        raise UsageError("--approve says ask and deny", hint="take one: what it does not name is asked about or denied")
    if "ask" not in words and "deny" not in words:
        words.append("ask" if output.is_terminal(sys.stderr) else "deny")
    return words


def read_tools(words: Sequence[str] | None) -> list[str] | None:
    """The names that `-t` was given. Raises UsageError for an empty one."""
    return names(words, "-t", otherwise="--no-tools is for none")


def read_options(words: Sequence[str]) -> dict[str, Any]:
    """The sampling options of `-o KEY=VALUE` words; `stop` may come more than once. Raises UsageError."""
    made: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if name not in OPTIONS:
            raise _unknown_option(name)
        if not equals:
            raise UsageError(f"option {name} has no value", hint=f"write -o {name}=VALUE")
        if name == "stop":
            made.setdefault("stop", []).append(text)
            continue
        try:
            made[name] = OPTIONS[name](text)
        except ValueError:
            kind = "a whole number" if OPTIONS[name] is int else "a number"
            raise UsageError(f"option {name} takes {kind}, not {text!r}", hint="see agentgw run --help") from None
    return made


def _read_schema(text: str) -> dict[str, Any]:
    from agentgw.cli.input.schema_shorthand import read_schema

    return read_schema(text)


def _unknown_option(name: str) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, OPTIONS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(OPTIONS)}"
    return UsageError(f"there is no option {name[:80]}", hint=hint)


def seconds(text: str) -> float:
    """The value of `--timeout`. Raises ValueError."""
    value = float(text)
    # An upper bound keeps it inside what the system's timers take.
    if not 0 < value <= 1e9:
        raise ValueError
    return value


def read_message(words: Sequence[str], *, stdin_used: bool) -> tuple[str, bool]:
    """TEXT, a blank line, piped input, and whether there was any. Raises UsageError when the input is not text."""
    if list(words) == [_STDIN] and not stdin_used:
        typed = output.is_terminal(sys.stdin)
        text = stdin_text()
        return text, bool(text) and not typed
    text = " ".join(words)
    if stdin_used or not is_piped():
        return text, False
    piped = stdin_text()
    return f"{text}\n\n{piped}" if text and piped else text or piped, bool(piped)


def _refuse_stray_files(words: Sequence[str]) -> None:
    """Raises UsageError for a message that is nothing but names of files: `-f` takes one, not all that follow it."""
    files = [word for word in words if word != _STDIN and os.path.isfile(word)]
    if not files:
        return
    name = output.one_line(shown_name(files[0]))
    if len(files) == len(words):
        raise UsageError(f"{name} is a file, and would be the message", hint=f"each file has its own -f: -f {name}")
    output.notice(f"{name} is a file, and here a word of the message; -f {name} sends what it holds")


def _read_file(path: str) -> dict[str, Any]:
    if path == _STDIN:
        typed = {"typed": True} if output.is_terminal(sys.stdin) else {}
        return {"name": "stdin", "text": stdin_text(), **typed}
    return {"name": shown_name(path), "text": file_text(path)}


def _last_session(client: Client) -> str | None:
    """The session last used among those started here, or None to begin one."""
    found = last_session(client)
    if found is None:
        output.notice("no session was started here yet, this begins one")
    return found
