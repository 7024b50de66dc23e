from __future__ import annotations

import pytest

from agentgw_daemon.text.key_shapes import keys_in_query, keys_in_text, keys_in_words


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["--api-key", "one", "--root", "two"], {"one"}),
        (["--api-key=one", "-e", "GITHUB_TOKEN=two", "-e", "ZONE=UTC"], {"one", "two"}),
        (["--header", "Authorization: Bearer one", "-H", "X-Api-Key: two"], {"one", "two"}),
        (["--token", "--verbose", "--token"], set()),
        (["postgres://me:pass-word@host/db", "http://host:8080/a@b"], {"pass-word"}),
        (["ghp_0123456789abcdef", "x-sk-ant-0123456789abcd"], {"ghp_0123456789abcdef", "sk-ant-0123456789abcd"}),
        (["", "=", "token", "--", "a:b"], set()),
    ],
)
def test_keys_are_told_by_their_names_and_by_their_looks(words: list[str], keys: set[str]) -> None:
    assert set(keys_in_words(words)) - {""} == keys


def test_a_query_and_a_text_are_looked_through() -> None:
    assert list(keys_in_query("https://x/mcp?apikey=six&format=json&token=")) == ["six"]
    assert list(keys_in_text("amqp://u:p4ss@h and eyJhbGciOiJIUzI1NiJ9.e30")) == ["eyJhbGciOiJIUzI1NiJ9.e30", "p4ss"]
