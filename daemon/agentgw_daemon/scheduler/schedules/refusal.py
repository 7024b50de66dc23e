"""The one error of what a user wrote about a job."""

from __future__ import annotations


class ScheduleRefused(ValueError):
    """A schedule, a zone or a setting of a job that cannot be taken; the message is one line."""
