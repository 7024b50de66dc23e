"""Failures of an MCP server. A module of its own, so that nothing imports the SDK to know them."""

from __future__ import annotations


class ServerFailed(Exception):
    """The server gave no answer; the message says why and begins with its name."""


class ServerRefused(Exception):
    """The server answered a request with an error; the message is its own, made plain."""


class AnswerUnreadable(ServerRefused):
    """The server answered with something that cannot be used; the message says what and fits behind its name."""


class ServerConnectionLost(Exception):
    """The connection is gone, or there is none for this answer."""


class BadServer(Exception):
    """The server breaks a bound or the protocol; the message says how and fits behind its name."""
