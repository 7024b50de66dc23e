"""Ratings of answers: `feedback.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import DIRECTORY, Page
from agentgw.protocol.records.schema import Limit, record


@record
class FeedbackAddParams:
    """A rating of a turn."""

    rating: Annotated[t.Rating, "1: good, -1: bad"]
    turn_id: Annotated[
        str | None,
        "a turn, or a session: its last one; without it the last turn of all",
        Limit(min_length=1, max_length=64),
    ] = None
    cwd: Annotated[
        str | None,
        "absolute path; without `turn_id`: the last turn of the sessions started there",
        Limit(max_length=4096, pattern=DIRECTORY),
    ] = None
    comment: Annotated[str | None, "why", Limit(max_length=10_000)] = None


@record
class FeedbackListParams:
    """A choice of ratings."""

    limit: Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    skill: Annotated[str | None, "only of this skill's answers", Limit(max_length=64)] = None
    model: Annotated[str | None, "only of this model's answers", Limit(max_length=4096)] = None
    rating: Annotated[t.Rating | None, "only these"] = None


@record
class FeedbackList:
    """Latest first."""

    ratings: tuple[t.Feedback, ...]
    next: str | None = None
