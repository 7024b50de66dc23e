"""One key is set in a file, and nothing else of it changes."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.config.config_edit import literal, with_value, without_value

FILE = """\
# mine
[agent]
max_iterations = 5   # enough
# default_skill = "general-assistant"

[ tools ]  # what may run
allow = [
  "read_file",  # always
  "list_files",
]
roots = []

[log]
level = "info"
"""


def made(path: str, value: Any, text: str = FILE) -> str:
    return with_value(text, tuple(path.split(".")), value, "config.toml")


def test_a_value_is_replaced_and_its_comment_stays() -> None:
    assert made("agent.max_iterations", 20) == FILE.replace("= 5 ", "= 20 ")


def test_a_new_key_stands_below_its_commented_line() -> None:
    commented = '# default_skill = "general-assistant"\n'
    assert made("agent.default_skill", "x") == FILE.replace(commented, commented + 'default_skill = "x"\n')


def test_a_new_key_stands_at_the_end_of_its_section() -> None:
    assert made("agent.route_by", "words") == FILE.replace('assistant"\n\n', 'assistant"\nroute_by = "words"\n\n')
    assert made("log.backups", 2).endswith('level = "info"\nbackups = 2\n')


def test_a_value_of_several_lines_is_replaced_whole() -> None:
    start, end = FILE.index("allow"), FILE.index("roots")
    assert made("tools.allow", ("read_file",)) == FILE[:start] + 'allow = ["read_file"]\n' + FILE[end:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '[rag]\nembedder = "x"\n'),
        ("# only words", '# only words\n\n[rag]\nembedder = "x"\n'),
        ("[log]\r\n", '[log]\r\n\r\n[rag]\r\nembedder = "x"\r\n'),
        ("[rag]", '[rag]\nembedder = "x"\n'),
        ("[rag]\n'embedder' = 1", '[rag]\nembedder = "x"\n'),
        ('["rag"]\nembedder = "#"#\n', '["rag"]\nembedder = "x"#\n'),
    ],
)
def test_a_section_that_is_not_there_is_begun(text: str, expected: str) -> None:
    assert made("rag.embedder", "x", text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'rag.embedder = "a"\n', 'rag = {embedder = "a"}\n', "[rag]\nother = \'\'\'\n[rag]\nembedder = 1\n\'\'\'\n",
        '[rag]\nother = """\nembedder = 1\n"""\nembedder = "a"\n', "[[rag]]\n",
    ],
)  # fmt: skip
def test_a_file_in_another_form_is_right_or_refused(text: str) -> None:
    try:
        after = tomllib.loads(made("rag.embedder", "x", text))
    except (ConfigRefused, TypeError):
        return
    before = tomllib.loads(text)
    before.setdefault("rag", {})["embedder"] = "x"
    assert after == before


def test_a_name_of_the_users_own_is_quoted_where_it_must_be() -> None:
    text = made("providers.x", 1, "")
    assert text == "[providers]\nx = 1\n"
    assert with_value("", ("providers", "my.own", "base_url"), "u", "f") == '[providers."my.own"]\nbase_url = "u"\n'


def without(path: str, text: str = FILE) -> str | None:
    return without_value(text, tuple(path.split(".")), "config.toml")


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("agent.max_iterations", "max_iterations = 5   # enough\n"), ("log.level", 'level = "info"\n'),
        ("tools.allow", 'allow = [\n  "read_file",  # always\n  "list_files",\n]\n'), ("tools.roots", "roots = []\n"),
    ],
)  # fmt: skip
def test_a_key_is_taken_out_and_all_else_stays(path: str, gone: str) -> None:
    assert without(path) == FILE.replace(gone, "")


@pytest.mark.parametrize("path", ["agent.default_skill", "rag.embedder", "providers.x.base_url"])
def test_a_key_that_is_not_there_cannot_be_taken_out(path: str) -> None:
    assert without(path) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[rag]\r\n'embedder' = 1\r\n", "[rag]\r\n"), ("[rag]\nembedder = 1", "[rag]\n"),
        ('["rag"]\nembedder = """\ntop_k = 1\n"""\ntop_k = 2\n', '["rag"]\ntop_k = 2\n'),
    ],
)  # fmt: skip
def test_a_key_is_taken_out_in_whatever_way_its_line_is_written(text: str, expected: str) -> None:
    assert without("rag.embedder", text) == expected


@pytest.mark.parametrize("text", ['rag.embedder = "a"\n', 'rag = {embedder = "a", top_k = 1}\n'])
def test_a_key_that_has_no_line_of_its_own_is_refused(text: str) -> None:
    with pytest.raises(ConfigRefused, match="not edited by itself"):
        without("rag.embedder", text)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.one_of(
    TEXTS, st.integers(-(2**53), 2**53), st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False), st.lists(TEXTS), st.dictionaries(TEXTS, TEXTS),
)  # fmt: skip


@given(VALUES)
def test_a_value_is_read_back_as_it_was_written(value: Any) -> None:
    assert tomllib.loads(f"value = {literal(value)}") == {"value": value}
    text = made("agent.max_iterations", value)
    assert tomllib.loads(text)["agent"]["max_iterations"] == value
    assert tomllib.loads(without("agent.max_iterations", text) or "") == {
        "agent": {}, **{name: table for name, table in tomllib.loads(FILE).items() if name != "agent"},
    }  # fmt: skip
