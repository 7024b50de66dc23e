"""Errors of the model registry."""

from __future__ import annotations

from agentgw.protocol.errors import InvalidParams, ModelUnavailable
from agentgw_daemon.models import reference
from agentgw_daemon.models.offer.catalogue import STARTER
from agentgw_daemon.models.reference import Reference


def missing_default() -> ModelUnavailable:
    """The error where no model is named and none is there."""
    return ModelUnavailable(
        "there is no model yet", hint=f"run `agentgw pull {STARTER.name}`", reason="no model", suggestion=STARTER.name
    )


def wrong_kind(ref: Reference, reason: str) -> InvalidParams:
    """The error for a model of a kind with which that cannot be done."""
    return InvalidParams(f"{reference.shown(ref.name)} {reason}", path="model", reason=reason)
