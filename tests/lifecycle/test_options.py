"""The daemon's command line."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.errors import UsageError
from agentgw_daemon.lifecycle.options import parse


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ([], {}),
        (["--http"], {"http.enabled": True}),
        (["--port", "8080"], {"http.enabled": True, "http.port": 8080}),
        (["--host", "0.0.0.0"], {"http.enabled": True, "http.host": "0.0.0.0", "http.port": 8080}),
        (["--host=::1", "--port=0"], {"http.enabled": True, "http.host": "::1", "http.port": 0}),
    ],
)
def test_flags_of_http_are_settings(words: list[str], flags: dict[str, Any]) -> None:
    assert parse(words).flags == flags


@pytest.mark.parametrize("words", [["--port", "x"], ["--port"], ["--nonsense"]])
def test_what_is_no_flag_is_one_line(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(words)
