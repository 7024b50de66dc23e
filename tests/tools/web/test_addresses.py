"""Only the public internet is public."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tools.web.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
        "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1",
        "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
        "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_what_is_not_the_internet_is_closed(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "198.17.0.1", "223.255.255.255",
     "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2003::1"],
)  # fmt: skip
def test_the_internet_is_open(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses())
def test_whatever_python_knows_to_be_closed_is_closed(address: object) -> None:
    found = ip_address(str(address))
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified or not found.is_global:
        assert not is_public(found)
