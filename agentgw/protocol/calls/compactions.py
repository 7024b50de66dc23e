"""`session.compact` and `session.expand`: the oldest turns of a session as a summary, and back."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol.schema import Limit, record


@record
class SessionCompactParams:
    """The session, and what stays word for word."""

    session_id: Annotated[str, "the session, or a unique prefix of its id", Limit(min_length=1, max_length=64)]
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
