from __future__ import annotations

import pytest

from agentgw.protocol.errors import ConfigRefused
from agentgw.remote.address import parse_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ssh://laptop", ("ssh", "laptop", 0, "", "")),
        ("ssh://me@laptop.lan:2222/", ("ssh", "laptop.lan", 2222, "me", "")),
        ("ssh://a.b-c_d+e@host_1", ("ssh", "host_1", 0, "a.b-c_d+e", "")),
        ("ssh://[::1]:22", ("ssh", "[::1]", 22, "", "")),
        ("http://127.0.0.1:8080", ("http", "127.0.0.1", 8080, "", "")),
        ("https://gw.example", ("https", "gw.example", 443, "", "")),
        ("https://gw.example/agent/", ("https", "gw.example", 443, "", "/agent")),
        ("http://[fe80::1]:80/", ("http", "[fe80::1]", 80, "", "")),
    ],
)
def test_an_address_is_taken_apart(text: str, parts: tuple[str, str, int, str, str]) -> None:
    found = parse_address(text)
    assert (found.scheme, found.host, found.port, found.user, found.path) == parts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ssh://me@laptop:2222", "ssh://me@laptop:2222"),
        ("ssh://laptop", "ssh://laptop"),
        ("http://[::1]:8080/x/", "http://[::1]:8080/x"),
        ("https://gw.example:443", "https://gw.example"),
    ],
)
def test_an_address_is_shown_as_it_is_written(text: str, shown: str) -> None:
    assert str(parse_address(text)) == shown


def test_an_address_in_brackets_is_a_name_without_them() -> None:
    assert parse_address("ssh://[::1]").name == "::1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("laptop", "no address"),
        ("ftp://laptop", "no address"),
        ("HTTP://laptop", "no address"),
        ("unix://run/x", "begins with /"),
        ("unix:/run/x", "begins with /"),
        ("ssh://", "name of a host"),
        ("ssh://-oProxyCommand=id", "name of a host"),
        ("ssh://-v", "name of a host"),
        ("ssh://a b", "name of a host"),
        ("ssh://a;id", "name of a host"),
        ("ssh://$(id)", "name of a host"),
        ("ssh://a`id`", "name of a host"),
        ("ssh://a'b", "name of a host"),
        ("ssh://a\nb", "name of a host"),
        ("ssh://a\0b", "name of a host"),
        ("ssh://a.-", "name of a host"),
        ("ssh://höst", "name of a host"),
        ("ssh://" + "a" * 300, "name of a host"),
        ("ssh://[::1;id]", "name of a host"),
        ("http://a?x=1", "name of a host"),
        ("http://a#x", "name of a host"),
        ("ssh://-l@host", "its user"),
        ("ssh://a b@host", "its user"),
        ("ssh://me:secret@host", "its user"),
        ("ssh://@host", "its user"),
        ("ssh://a$b@host", "its user"),
        ("http://me:secret@host", "a key does not belong"),
        ("https://key@host", "a key does not belong"),
        ("ssh://host/path", "nothing follows"),
        ("http://host/a b", "its path"),
        ("http://host/a\r\nX: y", "its path"),
        ("http://host/?key=x", "its path"),
        ("http://host:0", "its port"),
        ("http://host:65536", "its port"),
        ("http://host:", "its port"),
        ("http://host:8x", "its port"),
        ("http://host:٣", "its port"),
        ("ssh://a:b:c", "its port"),
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str, reason: str) -> None:
    with pytest.raises(ConfigRefused, match=reason) as caught:
        parse_address(text)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
