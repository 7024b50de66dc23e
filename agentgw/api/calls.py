"""Calls of the clients as values: the method, what it is given, and how its result is read. Does no I/O."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack

from agentgw.api.reading import read
from agentgw.local.paths import absolute
from agentgw.protocol.calls.documents import DocumentSearchResult, IngestResult
from agentgw.protocol.calls.jobs import JobList, ScheduledJob
from agentgw.protocol.calls.sessions import MessageList, SessionList
from agentgw.protocol.calls.skills import SkillList
from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import UsageError
from agentgw.protocol.types import Chunk, Message, Session, Skill

T = TypeVar("T")
PathLike = str | os.PathLike[str]

# Without a limit of the caller's own. A small machine may take minutes for a long answer.
TIMEOUT_S: Final = 600.0
_FILE_BYTES: Final = 1 << 20


class TurnFields(TypedDict, total=False):
    """Fields of a turn beside its message; see `turn.start` in docs/protocol.md.

    `approve`: tools that may run without being asked about; nobody is there to be asked about others, so they are
    denied. `files`: paths, read here and appended to the message as data.
    """

    skill: str
    session_id: str
    model: str
    system: str
    options: Mapping[str, Any]
    schema: Mapping[str, Any]
    files: Sequence[PathLike]
    tools: Sequence[str]
    approve: Sequence[str]
    max_iterations: int
    ephemeral: bool


class SearchFields(TypedDict, total=False):
    """Fields of a search beside its query; see `document.search` in docs/protocol.md."""

    k: int
    collection: str
    skills: Sequence[str]
    tags: Sequence[str]


class IngestFields(TypedDict, total=False):
    """Fields of an ingest, beside what is stored; see `document.ingest` in docs/protocol.md."""

    collection: str
    skills: Sequence[str]
    tags: Sequence[str]
    chunk_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request and how its result is read."""

    method: str
    params: Mapping[str, Any]
    read: Callable[[Any], T]


def turn(message: str, *, local: bool, **fields: Unpack[TurnFields]) -> Call[TurnResult]:
    """A turn for a message. `local`: the daemon is on this machine, so that tools may work in this directory."""
    given: dict[str, Any] = {**fields}
    approve = given.pop("approve", ())
    if isinstance(approve, str):
        raise UsageError("approve is a list of names of tools")
    params = {
        "message": message,
        "approvals": [*approve, "deny"],
        "files": [_file(path) for path in given.pop("files", ())],
        **given,
        **({"cwd": os.getcwd()} if local else {}),
    }
    return Call(method="turn.start", params=params, read=lambda value: read(TurnResult, value))


def skills(*, local: bool) -> Call[tuple[Skill, ...]]:
    """All skills; those of this directory's project too when the daemon is on this machine."""
    params = {"cwd": os.getcwd()} if local else {}
    return Call(method="skill.list", params=params, read=lambda value: read(SkillList, value).skills)


def sessions(limit: int) -> Call[tuple[Session, ...]]:
    """Stored sessions, the last used first."""
    return Call(method="session.list", params={"limit": limit}, read=lambda value: read(SessionList, value).sessions)


def messages(session_id: str, limit: int) -> Call[tuple[Message, ...]]:
    """The messages of a session."""
    params = {"session_id": session_id, "limit": limit}
    return Call(method="session.messages", params=params, read=lambda value: read(MessageList, value).messages)


def jobs() -> Call[tuple[ScheduledJob, ...]]:
    """Scheduled jobs."""
    return Call(method="job.list", params={}, read=lambda value: read(JobList, value).jobs)


def search(query: str, **fields: Unpack[SearchFields]) -> Call[tuple[Chunk, ...]]:
    """The best pieces of the documents, best first."""
    params = {"query": query, **fields}
    return Call(method="document.search", params=params, read=lambda value: read(DocumentSearchResult, value).chunks)


def ingest(
    paths: PathLike | Iterable[PathLike], *, text: str | None, source: str | None, local: bool,
    **fields: Unpack[IngestFields],
) -> Call[IngestResult]:  # fmt: skip
    """Files and folders of this machine, or a text under the name `source`."""
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if named and not local:
        raise UsageError(
            "the daemon is on another machine, and paths are this one's",
            hint="send a text with source, or: agentgw ingest",
        )
    params: dict[str, Any] = {**fields}
    if named:
        params["paths"] = [absolute(os.fspath(path)) for path in named]
    if text is not None:
        params["text"] = text
    if source is not None:
        params["source"] = source
    return Call(method="document.ingest", params=params, read=lambda value: read(IngestResult, value))


def raw(method: str, params: Mapping[str, Any]) -> Call[Any]:
    """Any method, its result as it comes."""
    return Call(method=method, params=params, read=lambda value: value)


def _file(path: PathLike) -> dict[str, str]:
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read(_FILE_BYTES + 1)
        return {"name": name, "text": data.decode("utf-8-sig")}
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text (byte {error.start})", hint="convert it first") from None
