"""Verbs of the command line, one file each, loaded when it is the one asked for; here what they share.

A verb has `configure(parser)` and `run(args) -> exit status`; a noun has `ACTIONS` with both for each of its verbs.
"""

from __future__ import annotations

import os
import sys

from agentgw.cli import output
from agentgw.client import Client
from agentgw.local.connect import connect_client
from agentgw.local.paths import Paths, absolute
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence
    from typing import Any, Final


# The most rows that the daemon gives at once.
PAGE: Final = 1000


class Action:
    """One thing that a noun can be asked to do: `agentgw NOUN NAME …`."""

    __slots__ = ("configure", "example", "run", "summary")

    def __init__(
        self,
        run: Callable[[Namespace], int],
        summary: str,
        example: str,
        configure: Callable[[ArgumentParser], None] | None = None,
    ) -> None:
        self.run = run
        self.summary = summary
        self.example = example
        self.configure = configure or _nothing


def connect(*, spawn: bool = True, warm: bool = False) -> Client:
    """The client of this user's daemon; notices go to standard error."""
    return connect_client(Paths(), spawn=spawn, warm=warm, notice=output.notice)


def is_loaded(model: str | None) -> bool:
    """Tells whether a model is one that a worker loads, as far as the client knows: `echo` is the daemon itself."""
    return model != "echo"


def add_json(parser: ArgumentParser) -> None:
    """The flag that every listing has."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def fetched(args: Namespace, method: str, /, **params: Any) -> dict[str, Any] | None:
    """The daemon's result for a listing to show; None where it was printed as JSON, as `--json` asks."""
    with connect() as client:
        result: dict[str, Any] = client.call(method, **params)
    if not args.json:
        return result
    output.json_line(result)
    return None


def fetched_pages(args: Namespace, method: str, rows: str, /, **params: Any) -> dict[str, Any] | None:
    """The result as `fetched` gives it, with as many rows, which have this name, as `args.limit` asks for."""
    with connect() as client:
        result: dict[str, Any] = client.call(method, limit=min(args.limit, PAGE), **params)
        found, left = list(result[rows]), args.limit - PAGE
        while left > 0 and (before := result.get("next")) is not None:
            result = client.call(method, limit=min(left, PAGE), before=before, **params)
            found, left = found + result[rows], left - PAGE
        result = {**result, rows: found}
    if not args.json:
        return result
    output.json_line(result)
    return None


def tell_more(args: Namespace, page: dict[str, Any]) -> None:
    """Says how to see the rows behind those that were asked for."""
    if page.get("next") is not None:
        output.notice(f"there are more: -n {2 * args.limit} shows them")


def agreed(question: str) -> bool:
    """Asks the person at the terminal and tells whether the answer is yes; an empty one is a no."""
    return answer_to(question, "y/N") in ("y", "yes")


def answer_to(question: str, choices: str) -> str:
    """The answer of the person at the terminal, in small letters; no answer at all is an n."""
    sys.stderr.write(output.broken(f"{output.one_line(question)} [{choices}]", 2) + " ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    # At the end of the input nobody has pressed Enter for the usual answer.
    return line.strip().lower() if line else "n"


def model_reference(client: Client, text: str) -> str:
    """The reference as the daemon understands it: a file's path from the root, for its `.` is another one.

    Raises UsageError for an empty one, which a script gives whose variable is not set.
    """
    if not text:
        raise UsageError("the model's name is empty", hint="agentgw models lists them")
    if not text.lower().endswith(".gguf") or text.startswith("hf:"):
        return text
    head, slash, _ = text.partition("/")
    # A provider's models may have the names of files; only the daemon knows its providers.
    if slash and head.strip(".~") and _is_provider(client, head):
        return text
    return daemon_path(text)


def is_elsewhere() -> bool:
    """Tells whether the daemon is on another machine, where this one's paths mean nothing."""
    return bool(Paths().other_url)


def daemon_path(path: str) -> str:
    """A path that the daemon is to open, from the root. Raises UsageError for one that is not, when it is elsewhere."""
    if not is_elsewhere():
        return absolute(path)
    if not os.path.isabs(path):
        raise UsageError(
            f"{path} begins in a directory of this machine, and the daemon is on another",
            hint="name it from / on, as it is over there",
        )
    return os.path.normpath(path)


def _is_provider(client: Client, name: str) -> bool:
    settings = client.call("config.get", section="providers")["settings"]
    return any(setting["key"].startswith(f"providers.{name}.") for setting in settings)


def working_directory() -> str | None:
    """The user's directory, or None when it was removed, has a name that JSON has no words for, or is not there
    where the daemon is.
    """
    if is_elsewhere():
        return None
    try:
        found = os.getcwd()
        found.encode("utf-8")
    except (FileNotFoundError, UnicodeEncodeError):
        return None
    return found


def last_session(client: Client) -> str | None:
    """The session last used among those started in this directory, if there is one; of a daemon elsewhere, among all
    that it has.
    """
    here = working_directory()
    # Without a directory the list is that of all of them.
    wanted = here is not None or client.where
    sessions = client.call("session.list", cwd=here, limit=1)["sessions"] if wanted else ()
    return str(sessions[0]["session_id"]) if sessions else None


def names(
    words: Sequence[str] | None, option: str, *, otherwise: str = "", may_be_empty: bool = False
) -> list[str] | None:
    """The names that an option was given, which may have commas between them; None when it was not given.

    Raises UsageError for an empty one, which a script gives whose variable is not set; `otherwise` is a hint for it.
    With `may_be_empty`, an empty word alone is no names.
    """
    if words is None or (may_be_empty and not any(words)):
        return None if words is None else []
    found = [name.strip() for word in words for name in word.split(",")]
    if not all(found):
        hint = "; ".join(filter(None, ("write names with commas between", otherwise)))
        raise UsageError(f"{option} has an empty word", hint=hint)
    return found


def _nothing(parser: ArgumentParser) -> None:
    """No arguments."""
