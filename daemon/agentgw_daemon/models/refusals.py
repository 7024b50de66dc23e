"""Errors of the model registry."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from agentgw.protocol.errors import InvalidParams, ModelUnavailable, NotFound
from agentgw_daemon.models.files.store import StoredModel
from agentgw_daemon.models.names import reference
from agentgw_daemon.models.names.reference import Reference
from agentgw_daemon.models.offer.catalogue import STARTER
from agentgw_daemon.text.near import hint_for


def missing_default() -> ModelUnavailable:
    """The error where no model is named and none is there."""
    return ModelUnavailable(
        "there is no model yet", hint=f"run `agentgw pull {STARTER.name}`", reason="no model", suggestion=STARTER.name
    )


def wrong_kind(ref: Reference, reason: str) -> InvalidParams:
    """The error for a model of a kind with which that cannot be done."""
    return InvalidParams(f"{reference.shown(ref.name)} {reason}", path="model", reason=reason)


def disk_failed(name: str, error: OSError) -> ModelUnavailable:
    """The disk could not take the bytes."""
    reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
    return ModelUnavailable(
        f"{name} cannot be stored: {reason}", hint="free some space and pull again", model=name, reason=reason
    )


def not_pulled(name: str, pulled: Iterable[StoredModel]) -> NotFound:
    """The error where none of those that were pulled has this name."""
    hint = hint_for(name, (one.name for one in pulled), "`agentgw models` lists what there is")
    return NotFound(f"{name} is not pulled", hint=hint, kind="model", id=name)
