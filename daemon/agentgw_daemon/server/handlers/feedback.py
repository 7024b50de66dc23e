"""`feedback.*`: the user's ratings of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.feedback import FeedbackAddParams, FeedbackList, FeedbackListParams
from agentgw.protocol.types import Feedback

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def add(request: RequestContext, params: FeedbackAddParams) -> Feedback:
    """Rate a turn."""
    return await request.services.database.feedback.add(
        params.rating, turn_id=params.turn_id, cwd=params.cwd, comment=params.comment
    )


async def list_ratings(request: RequestContext, params: FeedbackListParams) -> FeedbackList:
    """Ratings, the latest first."""
    return await request.services.database.feedback.list(
        limit=params.limit, before=params.before, skill=params.skill, model=params.model, rating=params.rating
    )


HANDLERS: dict[str, Handler] = {"feedback.add": add, "feedback.list": list_ratings}
