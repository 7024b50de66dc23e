"""Addresses that may be talked to: the public internet, and what a user may allow beside it. Does no I/O.

An own table: `ipaddress.is_global` calls 64:ff9b::7f00:1, 2002:7f00:1::, 224.0.0.1 and 192.0.0.8 global. From the IANA
special-purpose address registries.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

# Networks that are not the public internet.
_CLOSED_V4: Final = tuple(map(IPv4Network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)))  # fmt: skip
# All of the public internet of version 6 is in here, and with it no address that hides one of version 4 …
_OPEN_V6: Final = IPv6Network("2000::/3")
# … but for 6to4 and Teredo (in 2001::/23); the rest are benchmarks, documentation and protocol assignments.
_CLOSED_V6: Final = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)

# Networks that nobody but their owner gives out: this machine, and a home or an office. No link-local ones, where
# clouds tell their machines' secrets.
_LOCAL_V4: Final = tuple(map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_LOCAL_V6: Final = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
# The address at which Amazon's machines ask for their secrets is in the middle of the private range.
_TELLS_SECRETS: Final = IPv6Network("fd00:ec2::/32")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tells whether a machine on the public internet has this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


def is_local(address: IPv4Address | IPv6Address) -> bool:
    """Tells whether it is this machine or one of a private network."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _LOCAL_V4)
    return any(address in network for network in _LOCAL_V6) and address not in _TELLS_SECRETS


def literal_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host without brackets is by itself, in whatever form a resolver reads one; None for a name.

    `localhost` is 127.0.0.1 wherever names are looked up.
    """
    host = host.removesuffix(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # `127.1`, `0177.0.0.1` and `0x7f000001` are addresses to a resolver.
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None
