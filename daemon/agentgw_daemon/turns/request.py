"""Readings of a turn's request: pure."""

from __future__ import annotations

from dataclasses import replace

from agentgw.protocol.calls.turns import TurnStartParams
from agentgw.protocol.types import File, Options, Session


def kept(params: TurnStartParams, max_iterations: int) -> TurnStartParams:
    """The part of the request that is stored with it: not what is stored elsewhere."""
    files = tuple(File(name=file.name, text="") for file in params.files)
    return replace(
        params, message="", files=files, options=None, system=None if params.system is None else "",
        max_iterations=max_iterations, idempotency_key=None,
    )  # fmt: skip


def brings_data(params: TurnStartParams) -> bool:
    """Tells whether the request holds text that the user did not type: somebody else may have written it."""
    return params.piped or any(not file.typed for file in params.files)


def needs_no_tools(params: TurnStartParams) -> bool:
    """Tells whether there is nothing to look for: no tool is wanted, and no session may hold data of earlier calls."""
    return params.tools == () and params.ephemeral and params.session_id is None


def cwd_of(params: TurnStartParams, session: Session | None) -> str | None:
    """The directory in which to look for the turn's skill: the user's, who names one; else the session's."""
    at_session = session.cwd if session else None
    return (params.cwd or at_session) if params.skill is not None else (at_session or params.cwd)


def options_of(params: TurnStartParams, temperature: float | None, detached_max_tokens: int) -> Options:
    """The turn's options over the skill's temperature; an answer that nobody watches has a bound (0: none)."""
    options = merged(temperature, params.options)
    if not params.detach or options.max_tokens is not None or not detached_max_tokens:
        return options
    return replace(options, max_tokens=detached_max_tokens)


def merged(temperature: float | None, given: Options | None) -> Options:
    """The request's options over the skill's."""
    options = given or Options()
    return options if options.temperature is not None else replace(options, temperature=temperature)
