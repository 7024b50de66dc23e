"""Checks of HTTP: doors that could not be opened, a key that others may read, a port that strangers reach."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Final

from agentgw.local.directories import quoted
from agentgw.protocol.calls.daemon import HttpStatus
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.doctor.context import DoctorContext, Verdict, error, fine, info, warning

_LOOPBACK: Final = ("127.", "::1", "localhost")


def check_http(context: DoctorContext) -> Iterable[Verdict]:
    """Everything that keeps HTTP from its clients, or lets others in."""
    return http_verdicts(context.config.settings.http, context.http)


def http_verdicts(settings: HttpSection, status: HttpStatus | None) -> Iterable[Verdict]:
    """The verdicts on the settings in force, and of where HTTP is spoken if it is."""
    if status is None:
        if settings.enabled:
            yield info("http.enabled holds from the next start", "agentgw restart")
        else:
            yield fine("no HTTP is served")
        return
    if status.error is not None:
        yield error(f"HTTP has no port: {status.error}", "agentgw config set http.port PORT, then agentgw restart")
    if status.socket is not None and not os.path.lexists(status.socket):
        yield warning(f"{status.socket} is gone; it is made again within seconds")
    if status.key_file is not None:
        yield from _key(status.key_file)
    if status.address is not None and not settings.host.startswith(_LOOPBACK):
        yield warning(
            f"HTTP listens on {settings.host}: other machines can try its key, and all is sent unencrypted",
            "agentgw config set http.host 127.0.0.1, with ssh or a proxy for TLS before it",
        )
    if status.error is None:
        yield fine(f"HTTP answers on {status.address or status.socket}")


def _key(path: str) -> Iterable[Verdict]:
    try:
        found = os.lstat(path)
    except OSError as failure:
        yield warning(f"{path} with the key cannot be seen ({failure.strerror})", "agentgw restart makes a new key")
        return
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
        yield error(
            f"{path} is open to others, who may have read the key",
            f"rm {quoted(path)}, then agentgw restart: a new one",
        )
