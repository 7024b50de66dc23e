"""Sockets that HTTP is spoken on: bound before the daemon serves, so that what cannot be had is known at once."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from agentgw.local.sockets import BACKLOG
from agentgw.protocol.calls.daemon import HttpStatus
from agentgw.protocol.calls.web import SignInLink
from agentgw.protocol.errors import AlreadyRunning, ConfigRefused, LocalError
from agentgw.protocol.records.schema import record
from agentgw_daemon.gateway.access.admission import SIGN_IN_PATH, digest_of
from agentgw_daemon.gateway.access.api_key import ApiKey, find_key
from agentgw_daemon.gateway.access.sign_ins import CODE_VALID_S, SignIns
from agentgw_daemon.gateway.http.door import Door
from agentgw_daemon.gateway.http_name import HttpName

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import HttpSection
    from agentgw_daemon.lifecycle.started import Started

log = logging.getLogger(__name__)

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE: Final = ("0.0.0.0", "::")  # the addresses that are warned of
# The port that a browser leaves out of Host and Origin.
_PORT_OF_HTTP: Final = 80


@record
class OpenDoor:
    """A listening socket and what it asks of requests."""

    listening: socket.socket
    door: Door


@record
class Doors:
    """The doors that could be opened, and what is told of them."""

    open: tuple[OpenDoor, ...]
    name: HttpName
    status: HttpStatus
    sign_ins: SignIns

    @property
    def make_sign_in(self) -> Callable[[], SignInLink] | None:
        """Makes a link that signs a browser in once; None where no door has an address that browsers can go to."""
        return None if self.status.address is None else partial(_sign_in_link, self.sign_ins, self.status.address)


@contextmanager
def open_doors(started: Started) -> Iterator[Doors]:
    """The doors of the configuration; their sockets are closed and the name is removed at the end.

    A port of the configuration that cannot be had is told in the log and in `status`, for the daemon's own socket
    does not need it. One that was asked for on the command line is an error: raises LocalError.
    """
    http, paths = started.config.settings.http, started.paths
    error, tcp, key = None, None, None
    with ExitStack() as stack:
        name = HttpName(paths)
        unix = stack.enter_context(name.publish())
        stack.callback(name.remove)
        origins = frozenset(http.allow_origins)
        doors = [OpenDoor(listening=unix, door=Door(name="unix", origins=origins))]
        if http.port is not None:
            try:
                key = find_key(paths.http_key_file, started.environ.get("AGENTGW_API_KEY", ""))
                started.secrets.put("http", [key.text])
                tcp = stack.enter_context(_bind(http))
            except LocalError as refused:
                if "http.port" in started.flags:
                    raise
                error = refused.message
                log.error("no HTTP over TCP: %s. %s", refused.message, refused.hint)
            else:
                port = int(tcp.getsockname()[1])
                door = Door(name="tcp", hosts=hosts_of(http, port), origins=origins, key_digest=digest_of(key.text))
                doors.append(OpenDoor(listening=tcp, door=door))
        yield Doors(open=tuple(doors), name=name, status=_status(started, http, tcp, key, error), sign_ins=SignIns())


def hosts_of(http: HttpSection, port: int) -> frozenset[str]:
    """The names that a request over TCP may give: this machine's own, the address it is bound to, those allowed."""
    own = [*_LOOPBACK, *(() if http.host in _EVERYWHERE else (_bracketed(http.host),))]
    names = {f"{name}:{port}" for name in own}
    if port == _PORT_OF_HTTP:
        names.update(own)
    for name in http.allow_hosts:
        # Behind a proxy the port is the proxy's.
        names.update((name, f"{name}:{port}"))
    return frozenset(name.lower() for name in names)


def _sign_in_link(sign_ins: SignIns, address: str) -> SignInLink:
    # The address of all interfaces is none that a browser can go to.
    for everywhere, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        address = address.replace(everywhere, here)
    return SignInLink(url=f"{address}{SIGN_IN_PATH}?code={sign_ins.make_code()}", valid_s=CODE_VALID_S)


def _bind(http: HttpSection) -> socket.socket:
    """Raises LocalError."""
    where = f"{_bracketed(http.host)}:{http.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigRefused(f"http.host {http.host} cannot be used ({error.strerror})") from None
    try:
        # A daemon that has just ended leaves its port in TIME_WAIT.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"the HTTP port {where} is taken by another program", hint="choose another with --port or http.port"
            ) from None
        raise ConfigRefused(f"the HTTP port {where} cannot be had ({error.strerror})") from None
    return bound


def _status(
    started: Started, http: HttpSection, tcp: socket.socket | None, key: ApiKey | None, error: str | None
) -> HttpStatus:
    address = None
    if tcp is not None and key is not None:
        address = f"http://{_bracketed(http.host)}:{tcp.getsockname()[1]}"
        log.info("HTTP on %s; the key is in %s", address, key.file or "AGENTGW_API_KEY")
        if http.host in _EVERYWHERE:
            log.warning(
                "WARNING: HTTP listens on %s, where every machine that reaches this one can try its key, unencrypted."
                " Requests must name a host of http.allow_hosts. Without --host it is for this machine alone",
                address,
            )
        if key.is_short:
            log.warning("WARNING: AGENTGW_API_KEY can be guessed, it is short; `openssl rand -hex 32` makes a good one")
    log.info("HTTP on %s", started.paths.http_socket)
    return HttpStatus(
        socket=started.paths.http_socket, address=address, key_file=key.file if address and key else None, error=error
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
