"""Stored conversations: `session.*`."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import DIRECTORY, Page, SessionRef
from agentgw.protocol.records.schema import Limit, record


@record
class SessionListParams:
    """A choice of sessions."""

    limit: Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    cwd: Annotated[str | None, "absolute path: only those started there", Limit(pattern=DIRECTORY)] = None


@record
class SessionList:
    """Latest first."""

    sessions: tuple[t.Session, ...]
    next: str | None = None


@record
class SessionIdParams:
    """The id of a session."""

    session_id: SessionRef


@record
class MessagesParams:
    """A choice of messages."""

    session_id: SessionRef
    limit: Page = 200
    before: Annotated[str | None, "`next` of the page before"] = None


@record
class MessageList:
    """Oldest first; a page holds the latest ones before `before`."""

    messages: tuple[t.Message, ...]
    next: str | None = None


@record
class SearchParams:
    """Words to look for in all sessions."""

    query: Annotated[str, 'words, "phrases" and beginnings*; all must occur', Limit(min_length=1, max_length=1000)]
    limit: Page = 20


@record
class SearchResult:
    """Best first."""

    messages: tuple[t.SearchHit, ...]


@record
class RenameParams:
    """A new title."""

    session_id: SessionRef
    title: Annotated[str, "the title", Limit(min_length=1, max_length=200)]


@record
class ForkParams:
    """The place to branch off."""

    session_id: SessionRef
    at: Annotated[str | None, "the last turn to keep; without it, all"] = None


@record
class SessionCompactParams:
    """The session, and what stays word for word."""

    session_id: SessionRef
    keep: Annotated[int, "so many of the latest turns are shown whole", Limit(minimum=0, maximum=1000)] = 1
    model: Annotated[
        str | None, "the model that writes the summary; that of the last turn otherwise",
        Limit(min_length=1, max_length=4096),
    ] = None  # fmt: skip


@record
class SessionCompacted:
    """The way in which a session's earlier turns are shown to its model from now on. All of them stay stored."""

    session_id: str
    turns: Annotated[
        int, "so many of the oldest are shown as `summary`; 0: all are shown whole, for it would save nothing"
    ] = 0
    summary: str | None = None
    tokens_before: Annotated[int, "that the turns took in a prompt"] = 0
    tokens_after: int = 0


@record
class SessionExpanded:
    """The way in which a session's earlier turns are shown again."""

    session_id: str
    turns: Annotated[int, "so many of the oldest are still shown as an earlier summary"] = 0


@record
class ExportParams:
    """The form of the export."""

    session_id: SessionRef
    format: Literal["md", "json"] = "md"


@record
class ExportResult:
    """The whole session as text."""

    text: str
