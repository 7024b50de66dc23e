"""The manual page agentgw(1), written from the parsers: `python -m tests.scripts.manual_page`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from agentgw.cli.commands import Action
from agentgw.cli.main import GROUPS, VERBS, load, make_parser
from agentgw.protocol.errors import RPC_ERRORS, AgentgwError, LocalError

_STATUSES = {
    0: "ok", 1: "the daemon or the agent reports an error; of test: no; of map: a record failed", 2: "usage",
    3: "the daemon cannot be reached or did not start", 4: "no model, or it cannot be loaded",
    5: "a tool was denied, or nobody answered", 6: "the output does not meet the schema; of test: no verdict",
    7: "the message does not fit the context", 8: "the limit of steps was reached", 75: "busy, try again later",
    78: "the configuration or a directory is refused", 124: "--timeout passed", 130: "interrupted",
    141: "nobody reads standard output",
}  # fmt: skip


def page() -> str:
    """The page in roff, for man(7) macros."""
    return "\n".join(_lines()) + "\n"


def statuses() -> frozenset[int]:
    """Exit statuses that the page explains."""
    return frozenset(_STATUSES)


def statuses_of_errors() -> frozenset[int]:
    """Exit statuses that errors have."""
    errors: tuple[type[AgentgwError], ...] = (AgentgwError, *RPC_ERRORS, *LocalError.__subclasses__())
    return frozenset(error.exit_status for error in errors)


def _lines() -> Iterator[str]:
    yield '.TH AGENTGW 1 "" "agentgw" "User Commands"'
    yield from (".SH NAME", r"agentgw \- a private AI agent on your own machine")
    yield from (".SH SYNOPSIS", ".B agentgw", r"[\fIVERB\fR] \&...")
    yield from (".SH DESCRIPTION", "Alone, agentgw is a chat on a terminal, and")
    yield from (".B run", "when standard input is a pipe. Standard output has the answer and nothing else.")
    for group, verbs in GROUPS.items():
        yield f".SH {_text(group).upper()}"
        for verb in verbs:
            yield from _verb(verb)
    yield ".SH EXIT STATUS"
    for status, meaning in _STATUSES.items():
        yield from (".TP", f".B {status}", _text(meaning))
    yield from (".SH FILES", ".TP", r".I ~/.config/agentgw/config.toml", "Settings; see")
    yield from (r".BR " '"agentgw config"' " .",)


def _verb(verb: str) -> Iterator[str]:
    module = load(verb)
    actions: dict[str, Action] = getattr(module, "ACTIONS", {})
    if not actions:
        parser = make_parser(f"agentgw {verb}", *VERBS[verb])
        module.configure(parser)
        yield from _command(parser, verb, *VERBS[verb])
    for name, action in actions.items():
        parser = make_parser(f"agentgw {verb} {name}", action.summary, action.example)
        action.configure(parser)
        yield from _command(parser, f"{verb} {name}", action.summary, action.example)


def _command(parser: argparse.ArgumentParser, name: str, summary: str, example: str) -> Iterator[str]:
    places = (action for action in parser._actions if not action.option_strings)
    yield f".SS {_text(' '.join(['agentgw', name, *map(_place, places)]))}"
    yield from (f"{_text(summary[0].upper() + summary[1:])}.", ".PP", "Example:", ".RS", f".B {_text(example)}", ".RE")
    for action in parser._actions:
        if "--help" in action.option_strings or action.help in (None, argparse.SUPPRESS):
            continue
        yield from (".TP", _head(action), _text((action.help or "").replace("%%", "%")))


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "*": f"[{name}...]", "+": f"{name}..."}.get(str(action.nargs), name)


def _head(action: argparse.Action) -> str:
    if not action.option_strings:
        return f".I {_text(_place(action))}"
    value = "" if action.nargs == 0 else f" {_value(action)}"
    return f".B {_text(', '.join(action.option_strings) + value)}"


def _value(action: argparse.Action) -> str:
    choices: Iterable[object] | None = action.choices
    return str(action.metavar) if action.metavar else "|".join(map(str, choices)) if choices else action.dest.upper()


def _text(text: str) -> str:
    """The text with what roff would read as its own written out."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "\\(aq")) else text


if __name__ == "__main__":
    print(page(), end="")
