"""Words that may stand where the cursor is: from the parsers, and names that a running daemon knows.

A daemon is never started for it, and has 50 ms: whoever presses Tab waits.
"""

from __future__ import annotations

from agentgw.cli.main import VERBS, load, make_parser
from agentgw.cli.timelimit import TimeLimit
from agentgw.local.connect import connect_running
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AgentgwError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action, ArgumentParser
    from collections.abc import Iterable, Sequence
    from typing import Any, Final

    Word = tuple[str, str]

#: In place of words: names of files may stand here.
FILES: Final = (":files", "")
_PATIENCE_S: Final = 0.05
_MOST_NAMES: Final = 200
_FILE_WORDS: Final = frozenset({"FILE", "PATH", "DIR", "FILE|JSON|DSL"})
# What names a thing: an argument's destination, or the noun whose verb takes it. Method, list and member of the result,
# and what tells a person more.
_NAMES: Final = {
    "skill": ("skill.list", "skills", "name", "description"),
    "model": ("model.list", "models", "name", "source"),
    "session": ("session.list", "sessions", "session_id", "title"),
    "job": ("job.list", "jobs", "name", "schedule"),
    "source": ("document.list", "documents", "source", "title"),
    "tool": ("tool.list", "tools", "name", "description"),
    "turn": ("turn.list", "turns", "turn_id", "state"),
}  # fmt: skip
_OF_NOUN: Final = {
    "models": "model", "pull": "model", "skills": "skill", "sessions": "session", "history": "session", "jobs": "job",
    "tools": "tool", "attach": "turn", "turns": "turn", "replay": "turn",
}  # fmt: skip
_OF_DESTINATION: Final = {"other": "model", "skills": "skill", "new_model": "model"}


def words_for(line: Sequence[str]) -> list[Word]:
    """The words that may stand for the last one of the line, each with a few words on it."""
    *before, current = line or [""]
    if not before or before[0] == "help":
        return _beginning(current, ((verb, summary) for verb, (summary, _) in VERBS.items()))
    verb, *rest = before
    if verb not in VERBS:
        return []
    module = load(verb)
    actions = getattr(module, "ACTIONS", None)
    found: list[Word] = []
    parser = make_parser(f"agentgw {verb}", *VERBS[verb])
    if actions is None:
        module.configure(parser)
    else:
        if not rest:
            found = _beginning(current, ((name, action.summary) for name, action in actions.items()))
        name = rest.pop(0) if rest and rest[0] in actions else next(iter(actions))
        actions[name].configure(parser)
    return found + _of_parser(parser, verb, rest, current)


def _of_parser(parser: ArgumentParser, verb: str, before: Sequence[str], current: str) -> list[Word]:
    options = {option: action for action in parser._actions for option in action.option_strings}
    last = options.get(before[-1]) if before else None
    if last is not None and last.nargs != 0:
        return _values(last, verb, current)
    name, equals, value = current.partition("=")
    if equals and name in options:
        return [(f"{name}={word}", told) for word, told in _values(options[name], verb, value)]
    if current.startswith("-"):
        return _beginning(current, ((option, _told(action)) for option, action in options.items()))
    places = [action for action in parser._actions if not action.option_strings]
    return _values(places[0], verb, current) if places else []


def _values(action: Action, verb: str, current: str) -> list[Word]:
    if action.choices is not None:
        return _beginning(current, ((str(choice), "") for choice in action.choices))
    if str(action.metavar).partition("[")[0].rstrip("…") in _FILE_WORDS or action.dest in ("path", "paths", "file"):
        return [FILES]
    kind = _OF_DESTINATION.get(action.dest, action.dest)
    if not action.option_strings:
        kind = _OF_NOUN.get(verb, kind)
    return _beginning(current, _asked(kind)) if kind in _NAMES else []


def _asked(kind: str) -> list[Word]:
    """The names of things of this kind, as a running daemon says at once; none otherwise."""
    method, plural, member, more = _NAMES[kind]
    try:
        with TimeLimit(_PATIENCE_S), connect_running(Paths()) as client:
            listed: list[dict[str, Any]] = client.call(method)[plural]
    except (AgentgwError, KeyError):
        return []
    return [(str(one[member]), str(one.get(more) or "")) for one in listed[:_MOST_NAMES]]


def _told(action: Action) -> str:
    # argparse's own way to write a percent sign.
    return (action.help or "").replace("%%", "%")


def _beginning(current: str, words: Iterable[Word]) -> list[Word]:
    return [(word, told) for word, told in words if word.startswith(current)]
