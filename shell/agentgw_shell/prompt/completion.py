"""Choices for Tab: commands, their arguments, and files behind an `@`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from agentgw.cli.commands import working_directory
from agentgw.cli.output import one_line
from agentgw.protocol.errors import AgentgwError

if TYPE_CHECKING:
    from agentgw.client import Client

# A key that is pressed is answered at once, or with nothing.
_PATIENCE_S: Final = 0.2
_MOST: Final = 50

Choice = tuple[str, str]


class ChatCompleter(Completer):
    """Completes lines of the chat. `client` gives the connection, or None while there is none."""

    def __init__(self, client: Callable[[], Client | None]) -> None:
        self._client = client

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Choices for the word before the cursor."""
        # Here, for the first prompt does not wait for them.
        from agentgw_shell.commands import table

        line = document.text_before_cursor
        word = line[max(line.rfind(" "), line.rfind("\n")) + 1 :]
        if word.startswith("@"):
            choices: Iterable[Choice] = ((f"@{path}", "") for path in _files(word[1:]))
        elif line.startswith("/") and word == line:
            choices = self._commands(word)
        elif line.startswith("/"):
            command = table.find(line[1:].split(maxsplit=1)[0])
            choices = self._arguments(command.offer, word) if command is not None else ()
        else:
            return
        for text, about in choices:
            if text.startswith(word):
                yield Completion(text, start_position=-len(word), display_meta=one_line(about)[:60])

    def _commands(self, word: str) -> Iterator[Choice]:
        from agentgw_shell.commands import table

        for command in table.COMMANDS.values():
            yield f"/{command.name}", command.summary
        for name, about in self._ask("skill"):
            yield f"/{name}", about

    def _arguments(self, offer: str, word: str) -> Iterable[Choice]:
        match offer:
            case "file":
                return ((path, "") for path in _files(word))
            case "option":
                from agentgw_shell.commands.asking import OPTIONS

                return ((name, "") for name in OPTIONS)
            case _:
                return self._ask(offer)

    def _ask(self, offer: str) -> list[Choice]:
        client = self._client()
        if client is None:
            return []
        client.limit(_PATIENCE_S)
        try:
            return list(_known(client, offer))
        except AgentgwError:
            return []
        finally:
            client.limit(None)


def _known(client: Client, offer: str) -> Iterator[Choice]:
    match offer:
        case "skill":
            for one in client.call("skill.list", cwd=working_directory())["skills"]:
                if not one.get("error"):
                    yield one["name"], one["description"]
        case "model":
            for one in client.call("model.list")["models"]:
                yield one["name"], one["state"].replace("_", " ")
        case "session":
            for one in client.call("session.list", limit=_MOST)["sessions"]:
                yield one["session_id"], one["title"]
        case "document":
            for one in client.call("document.list", limit=_MOST)["documents"]:
                yield one["source"], one["title"]


def _files(word: str) -> Iterator[str]:
    """Paths that begin with the word; hidden ones only where it asks for them."""
    folder, start = os.path.split(word)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name.startswith(start))
    except (OSError, ValueError):
        return
    shown = [(name, is_folder) for name, is_folder in found if start or not name.startswith(".")]
    for name, is_folder in shown[:_MOST]:
        if name.isprintable() and " " not in name:
            yield os.path.join(folder, name) + ("/" if is_folder else "")
