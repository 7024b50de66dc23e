"""Deadlines of a model worker: sign of life, load, progress. Pure: the caller brings the time."""

from __future__ import annotations

import math
from typing import Literal

from agentgw_daemon.inference.spec import InferenceSettings


class Deadlines:
    """Ready after the start, an answer to Load, and signs of life and of progress while it is busy."""

    def __init__(self, settings: InferenceSettings) -> None:
        self._settings = settings
        self._phase: Literal["starting", "blank", "loading", "serving"] = "starting"
        self._since = 0.0
        self._heard_at = 0.0
        self._advanced_at = 0.0

    def start(self, now: float) -> None:
        """The process is started."""
        self._since = now

    def ready(self) -> None:
        """Notes that the worker said Ready; it has no deadline until it is asked to load."""
        self._phase = "blank"

    def load(self, now: float) -> None:
        """Notes that the worker was asked to load."""
        self._phase, self._since = "loading", now

    def load_answered(self) -> None:
        """Notes that the worker loaded, or said why not."""
        self._phase = "serving"

    def work(self, now: float) -> None:
        """Notes that the worker got its first request after idling."""
        self._heard_at = self._advanced_at = now

    def heard(self, now: float) -> None:
        """Notes that the worker said anything."""
        self._heard_at = now

    def advanced(self, now: float) -> None:
        """Notes that the worker said something that only computing brings forth."""
        self._advanced_at = now

    def deadline(self, *, busy: bool, computing: bool) -> float:
        """The time at which the next message is overdue; infinite while nothing is awaited.

        A worker that is `busy` and not `computing` waits for readers: it has a deadline for signs of life, none for
        progress.
        """
        match self._phase:
            case "starting":
                return self._since + self._settings.start_timeout_s
            case "loading":
                return self._since + self._settings.load_timeout_s
            case "serving" if busy:
                silent = self._heard_at + self._settings.heartbeat_timeout_s
                stuck = self._advanced_at + self._settings.progress_timeout_s
                return min(silent, stuck) if computing else silent
            case _:
                return math.inf

    def overdue_reason(self, now: float) -> str:
        """The overdue thing, as the rest of a sentence about the worker."""
        match self._phase:
            case "starting":
                return f"was not ready within {self._settings.start_timeout_s:g} s"
            case "loading":
                return f"took more than {self._settings.load_timeout_s:g} s to load the model"
            case _ if now >= self._heard_at + self._settings.heartbeat_timeout_s:
                return f"said nothing for {self._settings.heartbeat_timeout_s:g} s"
            case _:
                return f"computed nothing for {self._settings.progress_timeout_s:g} s"
