"""The value of AGENTGW_URL, taken apart and judged. Does no I/O.

What is refused is told without being quoted: a password may stand in it.
"""

from __future__ import annotations

import re

from agentgw.protocol.errors import ConfigRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PORTS: Final = {"ssh": 0, "http": 80, "https": 443}
_PARTS: Final = re.compile(
    r"(?P<scheme>[a-z]+)://(?:(?P<user>[^@/]*)@)?(?P<host>[^@/:\[\]]*|\[[^@/\[\]]*\])(?::(?P<port>[^/]*))?(?P<path>/.*)?",
    re.DOTALL,
)
# Neither begins with a dash, which ssh would take for an option, nor has a character that a shell knows: the user's
# own ssh configuration may put both into commands (ProxyCommand %h, CVE-2023-51385).
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]{2,45}\]")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~%-]+)*/?")
_FORMS: Final = "unix:///PATH, ssh://[USER@]HOST[:PORT] or http(s)://HOST[:PORT]"


class RemoteAddress:
    """Place of a daemon: `scheme` ssh, http or https, and the parts that it has."""

    __slots__ = ("host", "path", "port", "scheme", "user")

    def __init__(self, *, scheme: str, host: str, port: int, user: str = "", path: str = "") -> None:
        self.scheme = scheme
        self.host = host
        #: 0: what ssh takes by itself.
        self.port = port
        self.user = user
        #: Path under which a proxy has the daemon: it begins with a slash and does not end with one, or is empty.
        self.path = path

    @property
    def name(self) -> str:
        """The host as a name or a number, without the brackets of an address."""
        return self.host.strip("[]")

    @property
    def authority(self) -> str:
        """Host and port as HTTP's Host has them."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.user and self.user + '@'}{self.authority}{self.path}"


def parse_address(text: str) -> RemoteAddress:
    """The parts of an address. Raises ConfigRefused."""
    found = _PARTS.fullmatch(text)
    if found is None or found["scheme"] not in _PORTS:
        if text.startswith("unix:"):
            raise _refused("unix:// is followed by a path that begins with /", "write it as unix:///run/agentgw.sock")
        raise _refused("it is no address of a daemon", f"write it as {_FORMS}")
    scheme, host, user, path = found["scheme"], found["host"], found["user"], found["path"] or ""
    if not _HOST.fullmatch(host):
        raise _refused("its host is no name of a host", f"write it as {_FORMS}")
    if user is not None and scheme != "ssh":
        raise _refused(
            "a key does not belong into it", "put it into AGENTGW_API_KEY, or a file named by AGENTGW_API_KEY_FILE"
        )
    if user is not None and not _USER.fullmatch(user):
        raise _refused("its user is no name, and a password does not belong into it", f"write it as {_FORMS}")
    if not _PATH.fullmatch(path) or (scheme == "ssh" and path.strip("/")):
        raise _refused("nothing follows the host" if scheme == "ssh" else "its path is none", f"write it as {_FORMS}")
    return RemoteAddress(
        scheme=scheme, host=host, port=_port(found["port"], scheme), user=user or "", path=path.rstrip("/")
    )


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return _PORTS[scheme]
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise _refused("its port is no number from 1 to 65535", f"write it as {_FORMS}")
    return int(text)


def _refused(reason: str, hint: str) -> ConfigRefused:
    return ConfigRefused(f"AGENTGW_URL cannot be used: {reason}", hint=hint)
