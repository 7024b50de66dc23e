"""The command line: finds the verb, loads its module alone, and turns errors into one line and an exit status."""

from __future__ import annotations

import os
import sys

from agentgw.cli import output
from agentgw.protocol.errors import AgentgwError, InvalidParams, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Final, NoReturn

    from agentgw.cli.commands import Action

# Each group with its verbs: summary and example. The module of a verb is `agentgw.cli.commands.VERB`.
GROUPS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Ask": {
        "run": ("answer one message", 'git diff | agentgw run "write a commit message"'),
        "map": ("one question about each line of a file", "agentgw map 'Fruit or vegetable? {}' < names.txt"),
        "test": ("a yes or a no as an exit status", "agentgw test 'is this an outage?' < log && page"),
        "chat": ("talk, with a prompt that remembers", "agentgw chat -s code-assistant"),
        "attach": ("watch a running turn, from its start", "agentgw attach 01JD"),
        "turns": ("what runs or waits, and how to end it", "agentgw turns cancel t-01JD"),
        "approvals": ("tool calls that wait for a yes", "agentgw approvals answer a-01JD once"),
    },
    "Look back": {
        "sessions": ("stored conversations", 'agentgw sessions search "unix socket"'),
        "feedback": ("rate an answer", 'agentgw feedback -1 --comment "too long"'),
        "stats": ("how much was asked and answered, in numbers", "agentgw stats --json"),
        "replay": ("rerun a turn and compare", "agentgw replay t-01JD -m smollm2:135m"),
        "eval": ("all rated turns once more: what stays good", "agentgw eval --skill code-assistant"),
        "history": ("one conversation; the same as `sessions show`", "agentgw history 01JD"),
    },
    "Your documents": {
        "ingest": ("store files and folders, so that they can be found", "agentgw ingest ~/notes --watch"),
        "search": ("the best pieces of them for a question", 'agentgw search "when is the rent due?" -k 3'),
        "documents": ("what is stored", "agentgw documents --source notes"),
        "delete-documents": ("remove some; the files themselves stay", "agentgw delete-documents --source ~/notes"),
    },
    "Skills and models": {
        "skills": ("what the agent can be", "agentgw skills show summarize-document"),
        "trust": ("use the skills that a project brings along", "agentgw trust ."),
        "tools": ("what the agent may do", """agentgw tools call read_file '{"path": "README.md"}'"""),
        "models": ("what answers", "agentgw models list"),
        "pull": ("download a model; the same as `models pull`", "agentgw pull smollm2:135m"),
    },
    "Scheduled": {
        "jobs": ("work at set times or when files change", 'agentgw jobs add "sum up my notes" --every "day at 08:30"'),
        "scheduler": ("old spelling of `jobs list` and `start`", "agentgw scheduler --list"),
    },
    "Daemon": {
        "status": ("what runs, in numbers", "agentgw status --json"),
        "start": ("start the daemon, which also starts by itself", "agentgw start"),
        "stop": ("stop the daemon", "agentgw stop"),
        "restart": ("stop and start the daemon", "agentgw restart"),
        "reload": ("read configuration and skills again", "agentgw reload"),
        "serve": ("run the daemon in the foreground, with HTTP if asked to", "agentgw serve --port 8080"),
        "web": ("open the web pages; without --open the old spelling of serve", "agentgw web --open"),
        "service": ("the daemon as a service of systemd or launchd", "agentgw service install --now"),
        "backup": ("copy the database to a file, while it is used", "agentgw backup ~/agentgw-backup.db"),
        "restore": ("put such a copy in its place", "agentgw restore ~/agentgw-backup.db"),
        "ps": ("the daemon's workers", "agentgw ps"),
        "logs": ("the daemon's log", "agentgw logs -f"),
        "doctor": ("check everything and say what to do", "agentgw doctor"),
        "webhooks": ("programs that are told of events", "agentgw webhooks test build"),
        "config": ("settings and where they come from", "agentgw config show --origin"),
        "completion": ("words that Tab completes in bash, zsh and fish", "agentgw completion bash"),
        "shell-init": ("a key that turns the line being typed into a command", "agentgw shell-init zsh"),
        "call": ("one raw call", "agentgw call rpc.discover"),
        "bridge": ("a connection on standard input and output", "ssh laptop agentgw bridge"),
    },
}
VERBS: Final = {verb: words for verbs in GROUPS.values() for verb, words in verbs.items()}
# About this machine's own daemon, files and service, whatever AGENTGW_URL names.
_ONLY_HERE: Final = frozenset(
    {
        "start", "stop", "restart", "serve", "web", "service", "restore", "logs", "config path", "config edit",
        "skills new", "skills edit", "skills remove",
    }
)  # fmt: skip
_MOST_COLUMNS: Final = 100
# Names offered in place of one that does not exist, and how much of one says which is meant.
_MOST_NEAR: Final = 2
_LEAST_BEGINNING: Final = 3
_NOTHING: Final = '""'
_NEAR_OPTION: Final = 0.75
_HELP: Final = ("-h", "--help", "help")
# The one verb that is given parameters by their names on the wire.
_RAW: Final = "agentgw call"
# The beginning of what argparse says of options that it does not know.
_UNRECOGNISED: Final = "unrecognized arguments: "
# The option of `run` and `attach` that asks for JSON in two of its forms.
_FORM: Final = "--output-format"
_JSON_FORMS: Final = ("json", "stream-json")
# Before each word behind `--`: no word of a command line has this character, so such a word is never an option.
_LITERAL: Final = "\0"


def main() -> NoReturn:
    """The console script. Ends the process without tearing the interpreter down, which costs more than a call."""
    _fill_standard_descriptors()
    status = run(sys.argv[1:])
    os._exit(status or output.end())


def _fill_standard_descriptors() -> None:
    """Started with one of them closed, the next file or socket opened would be taken for it."""
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives


def run(argv: Sequence[str]) -> int:
    """Does what the arguments say; gives the exit status. Nothing is raised."""
    try:
        return _told(argv)
    except output.OutputLost as error:
        output.abandon_stdout()
        return output.report(error)
    except BrokenPipeError:
        output.abandon_stdout()
        return output.CLOSED_PIPE
    except KeyboardInterrupt:
        return output.INTERRUPTED


def _told(argv: Sequence[str]) -> int:
    """Carries them out as `dispatch` does, and tells what goes wrong: in a line, and as JSON to whoever asked for JSON.

    Raises what is about standard output itself: OutputLost and BrokenPipeError.
    """
    try:
        return dispatch(argv)
    except (output.OutputLost, BrokenPipeError):
        raise
    except SystemExit as ended:
        # The end of argparse after --help.
        return int(ended.code or 0)
    except KeyboardInterrupt:
        error, status = AgentgwError("interrupted"), output.INTERRUPTED
    except AgentgwError as failure:
        error, status = failure, output.report(failure)
    except Exception as fault:  # noqa: BLE001  # a user never sees a traceback
        error = output.report_fault(fault)
        status = error.exit_status
    if _is_json_wanted(argv):
        output.json_error(error, status)
    return status


def _is_json_wanted(argv: Sequence[str]) -> bool:
    """Tells whether the words ask for JSON, also those that no parser has understood."""
    words = _options(argv)
    for word, following in zip(words, [*words, ""][1:], strict=True):
        name, _, value = word.partition("=")
        if name == "--json" or (name == _FORM and (value or following) in _JSON_FORMS):
            return True
    return False


def _options(argv: Sequence[str]) -> list[str]:
    """The words before the first `--`."""
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words


def dispatch(argv: Sequence[str]) -> int:
    """Runs a command line as `run` does, but raises what goes wrong."""
    words = _without_separator(argv)
    if not words:
        verb, rest = ("chat" if output.is_terminal(sys.stdin) else "run"), []
    else:
        verb, rest = _plain(words[0]), words[1:]
    if verb == "--version":
        from agentgw import __version__

        output.line(f"agentgw {__version__}")
        return 0
    if verb in _HELP:
        return _help([_plain(word) for word in rest])
    if verb not in VERBS:
        end = "-- " if verb.startswith("-") else ""
        raise _unknown("verb", verb, VERBS, f'to ask something: agentgw run {end}"{verb} …"')
    module = load(verb)
    actions: dict[str, Action] | None = getattr(module, "ACTIONS", None)
    if actions is not None:
        return _dispatch_action(verb, rest, actions)
    parser = make_parser(f"agentgw {verb}", *VERBS[verb])
    module.configure(parser)
    args = parser.parse_intermixed_args(rest)
    _refuse_elsewhere(verb)
    return _run(module.run, args, parser.prog)


def _run(act: Callable[[Namespace], int], args: Namespace, prog: str) -> int:
    """Carries the verb out. An error about what was typed that says nothing better leads to the verb's help."""
    try:
        return int(act(args))
    except (UsageError, InvalidParams) as error:
        error.hint = error.hint or f"see {prog} --help"
        if isinstance(error, InvalidParams) and prog != _RAW:
            # Whoever typed no names of the wire need not learn them; those of -o are typed.
            path, reason = (str(error.data.get(name) or "") for name in ("path", "reason"))
            if path and error.message == f"{error.title}: {path} {reason}":
                typed = path.removeprefix("options.")
                error.message = f"{typed if typed != path else path.replace('_', ' ')} {reason}"
            error.message = error.message.removeprefix(f"{error.title}: ")
        raise


def _without_separator(argv: Sequence[str]) -> list[str]:
    """The words without the first `--`, those behind it marked as no options."""
    words = _options(argv)
    return words + [_LITERAL + word for word in argv[len(words) + 1 :]]


def _plain(word: str) -> str:
    return word.removeprefix(_LITERAL)


def _help(words: list[str]) -> int:
    """`agentgw help [VERB [ACTION]]`: the same as `--help` behind them."""
    if not words or words[0] in _HELP:
        output.own_lines(overview())
        return 0
    # One word more is an action only of a noun.
    verb, *rest = words
    known = verb in VERBS and rest and rest[0] in getattr(load(verb), "ACTIONS", {})
    return dispatch([verb, *rest[: bool(known)], "--help"])


def load(verb: str) -> ModuleType:
    """The module of a verb."""
    # importlib.import_module does no more, and brings warnings along.
    return __import__(f"agentgw.cli.commands.{verb.replace('-', '_')}", fromlist=("run",))


def _dispatch_action(noun: str, argv: Sequence[str], actions: dict[str, Action]) -> int:
    """`agentgw NOUN [ACTION …]`; without an action the first of the table."""
    if argv and argv[0] in _HELP:
        output.own_lines(_noun_help(noun, actions))
        return 0
    name, rest = next(iter(actions)), list(argv)
    # `-1` is the name of an action, not an option.
    if argv and (_plain(argv[0]) in actions or not argv[0].startswith("-")):
        name, rest = _plain(argv[0]), list(argv[1:])
    if name not in actions:
        raise _unknown(f"verb of {noun}", name, actions, f"see agentgw {noun} --help")
    action = actions[name]
    parser = make_parser(f"agentgw {noun} {name}", action.summary, action.example)
    action.configure(parser)
    args = parser.parse_intermixed_args(rest)
    _refuse_elsewhere(noun, f"{noun} {name}")
    return _run(action.run, args, parser.prog)


def _refuse_elsewhere(*words: str) -> None:
    """Raises UsageError for what is done here and nowhere else while AGENTGW_URL names another machine's daemon."""
    if not _ONLY_HERE.isdisjoint(words):
        from agentgw.local.paths import Paths

        if Paths().other_url:
            raise UsageError(
                f"`agentgw {words[-1]}` is about this machine, and AGENTGW_URL names a daemon elsewhere",
                hint="run it over there, or unset AGENTGW_URL",
            )


def make_parser(prog: str, summary: str, example: str) -> ArgumentParser:
    """The parser of one verb, without its arguments. Its errors are UsageError."""
    import argparse

    class Formatter(argparse.RawDescriptionHelpFormatter):
        """A width of its own, because argparse would import shutil for it, and all that brings, at every start."""

        def __init__(self, prog: str) -> None:
            super().__init__(prog, max_help_position=28, width=_help_width())

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            near = _near_option(message, list(self._option_string_actions))
            hint = f"did you mean {near}?" if near else f"see {prog} --help"
            raise UsageError(message.replace(_LITERAL, ""), hint=hint)

        def print_help(self, file: object = None) -> None:
            # argparse would pass over a disk that is full, and has no line end for a long usage.
            output.own_lines(self.format_help())

    parser = Parser(
        prog=prog,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    # The reading of argparse for a word that is given no type, before it looks whether it is one of the choices.
    parser.register("type", None, _plain)
    return parser


def _near_option(message: str, options: list[str]) -> str:
    """The option that is most like the first one of a command line that there is not."""
    from difflib import get_close_matches

    words = message.removeprefix(_UNRECOGNISED).split() if message.startswith(_UNRECOGNISED) else []
    typed = next((word.partition("=")[0] for word in words if word.startswith("--")), "")
    # All begin alike.
    bare = {option.lstrip("-"): option for option in options if option.startswith("--")}
    return next((bare[one] for one in get_close_matches(typed.lstrip("-"), bare, n=1, cutoff=_NEAR_OPTION)), "")


def _help_width() -> int:
    """The width of help: a line of it is no longer than the terminal's, and a long one is hard to read."""
    return min(output.columns() if output.is_terminal(sys.stdout) else _MOST_COLUMNS, _MOST_COLUMNS)


def overview() -> str:
    """The text of `agentgw --help`."""
    width = max(map(len, VERBS))
    parts = [
        "usage: agentgw [VERB] …",
        "A private AI agent on your own machine.\nAlone: a chat on a terminal, `run` when standard input is a pipe.",
    ]
    for group, verbs in GROUPS.items():
        lines = _rows(((verb, summary) for verb, (summary, _) in verbs.items()), width)
        parts.append("\n".join((f"{group}:", *lines)))
    told = "`agentgw help VERB` shows the options of a verb, with an example."
    parts.append(f'{told}\n\nexample:\n  agentgw run "why is the sky blue?"')
    return "\n\n".join(parts)


def _rows(rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """The lines of a list of names with what they are, which goes on below its beginning."""
    room = max(_help_width() - width - 4, 1)
    for name, summary in rows:
        first, *others = [summary] if len(summary) <= room else _broken(summary, room)
        yield f"  {name.ljust(width)}  {first}"
        yield from (f"  {' ' * width}  {line}" for line in others)


def _broken(summary: str, room: int) -> Iterator[str]:
    # Here, for a wide terminal and a pipe do not need it.
    from agentgw.cli.cells import wrapped

    return wrapped(summary, room)


def _noun_help(noun: str, actions: dict[str, Action]) -> str:
    summary, example = VERBS[noun]
    width = max(map(len, actions))
    lines = _rows(((name, action.summary) for name, action in actions.items()), width)
    return (
        f"usage: agentgw {noun} [{' | '.join(actions)}] …\n\n{summary[0].upper()}{summary[1:]}. "
        f"Alone: {next(iter(actions))}.\n\n" + "\n".join(lines) + f"\n\nexample:\n  {example}"
    )


def _unknown(kind: str, name: str, known: Iterable[str], otherwise: str) -> UsageError:
    from difflib import get_close_matches

    names = list(known)
    begun = [one for one in names if one.startswith(name.lower())] if len(name) >= _LEAST_BEGINNING else []
    near = begun[:_MOST_NEAR] or get_close_matches(name, names, n=_MOST_NEAR, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else otherwise
    return UsageError(f"there is no {kind} {name[:80] or _NOTHING}", hint=hint)
