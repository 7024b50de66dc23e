"""From the value of AGENTGW_URL to a client of the daemon there."""

from __future__ import annotations

from agentgw.client import Client, ConnectionLost
from agentgw.protocol.errors import DaemonUnreachable
from agentgw.remote.address import parse_address
from agentgw.remote.api_key import find_key
from agentgw.transport.connection import NotJsonRpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# A person types a password meanwhile.
ASKED_TIMEOUT_S: Final = 120.0


def reach(url: str, *, key: str = "", key_file: str = "", plain_http: bool = False, may_ask: bool = True) -> Client:
    """A greeted client. With `may_ask` ssh may ask questions on the terminal, if there is one.

    The daemon there is somebody's who is there: it is never replaced, whatever its version. Raises DaemonUnreachable,
    VersionMismatch or ConfigRefused.
    """
    address = parse_address(url)
    if address.scheme == "ssh":
        from agentgw.remote.ssh_stream import SshStream, has_terminal, ssh_words

        asks = may_ask and has_terminal()
        tunnel = SshStream(address, may_ask=asks)
        client = Client(tunnel, where=str(address))
        try:
            client.greet(ASKED_TIMEOUT_S if asks else None)
        except ConnectionLost:
            raise tunnel.failure() from None
        except NotJsonRpc as error:
            client.close()
            raise DaemonUnreachable(
                f"{address} says {error.said!r} in place of a daemon's words",
                hint=f"its shell must print nothing by itself: {' '.join(ssh_words(address))} true",
            ) from None
        except BaseException:
            client.close()
            raise
        return client
    from agentgw.remote.http_stream import connect_http

    connection = connect_http(address, find_key(key, key_file), plain=plain_http)
    return Client(connection, where=str(address)).greeted()
