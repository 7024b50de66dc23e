"""Commands about documents, tools and the daemon: mostly verbs of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable

from agentgw.cli import output
from agentgw.protocol.errors import NotFound, UsageError
from agentgw_shell.commands.command import ChatCommand, Chatting, unseen_turn, words_of
from agentgw_shell.turns.notes import source_texts


def _verb(*verb: str) -> Callable[[Chatting, str], None]:
    def run(chat: Chatting, text: str) -> None:
        chat.run_verb(*verb, *words_of(text))

    return run


def _search(chat: Chatting, text: str) -> None:
    if not text:
        raise UsageError("/search wants words or a question", hint="/history TEXT looks into past conversations")
    chat.run_verb("search", "--", text)


def _sources(chat: Chatting, text: str) -> None:
    sources = chat.conversation.sources or tuple(unseen_turn(chat).get("sources", ()))
    if not sources:
        raise NotFound("the last answer rests on no documents", hint="/why tells what the model was shown", kind="turn")
    for line, chunk in zip(source_texts(sources), sources, strict=True):
        output.line(output.one_line(line))
        output.write(f"    {output.one_line(str(chunk.get('text', ''))[:300])}\n")
    output.flush()


def run_command(chat: Chatting, text: str) -> None:
    """A program, asked about as a tool's call is. Raises UsageError where there is none."""
    argv = words_of(text)
    if not argv:
        raise UsageError("! wants a program and its arguments", hint="try: !git status")
    chat.run_verb("tools", "call", "run_command", json.dumps({"argv": argv}), "--approve", "ask")


COMMANDS = (
    ChatCommand(
        name="ingest",
        usage="PATH…",
        summary="store documents so that they can be found",
        run=_verb("ingest"),
        offer="file",
    ),
    ChatCommand(name="documents", usage="", summary="what is stored", run=_verb("documents")),
    ChatCommand(name="search", usage="TEXT", summary="the best pieces of your documents", run=_search),
    ChatCommand(name="sources", usage="", summary="what the last answer rests on", run=_sources),
)
DAEMON = (
    ChatCommand(name="tools", usage="", summary="what the agent may do", run=_verb("tools", "list")),
    ChatCommand(
        name="approvals", usage="[answer ID WORD]", summary="calls that wait for a yes", run=_verb("approvals")
    ),
    ChatCommand(name="jobs", usage="", summary="what runs by itself, and when", run=_verb("jobs")),
    ChatCommand(name="stats", usage="", summary="how much was asked and answered", run=_verb("stats")),
    ChatCommand(name="status", usage="", summary="what runs", run=_verb("status")),
)
