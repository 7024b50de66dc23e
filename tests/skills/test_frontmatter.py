"""Splitting front matter off and reading YAML without ever building anything but strings, lists and mappings."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.skills.frontmatter import MAX_DEPTH, YamlRefused, parse, parse_mapping, split


def test_front_matter_ends_at_the_second_fence() -> None:
    assert split("---\nname: a\n---\n# Title\n\n---\nmore\n") == ("\nname: a\n", "# Title\n\n---\nmore\n")


def test_a_byte_order_mark_and_crlf_are_read() -> None:
    front, body = split("\ufeff---\r\nname: a\r\n---\r\nDo it.\r\n")
    assert parse_mapping(front) == {"name": "a"}
    assert body.strip() == "Do it."


@pytest.mark.parametrize("text", ["", "name: a\n", "\n---\nname: a\n---\n", "----\nname: a\n---\n", "# Title\n"])
def test_text_without_a_first_fence_is_refused(text: str) -> None:
    with pytest.raises(YamlRefused, match="first line"):
        split(text)


def test_an_unclosed_fence_is_refused() -> None:
    with pytest.raises(YamlRefused, match="no end"):
        split("---\nname: a\nbody\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1.10", {"a": "1.10"}),
        ("a: on", {"a": "on"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("a: 'null'", {"a": "null"}),
        ("a: null\nb:\nc: ~", {"a": None, "b": None, "c": None}),
        ("a: [x, 'y z', 3]", {"a": ["x", "y z", "3"]}),
        ("a:\n  - b: c\n    d: |\n      one\n      two\n", {"a": [{"b": "c", "d": "one\ntwo\n"}]}),
        (r'a: "\ud83d\ude00"', {"a": "\U0001f600"}),
        ("", None),
        ("# only a comment\n", None),
        ("word", "word"),
    ],
)
def test_scalars_stay_the_text_that_was_written(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: !!python/object/apply:os.system ['touch /tmp/x']", "tags"),
        ("!!python/object:builtins.object {}", "tags"),
        ("a: !!str b", "tags"),
        ("a: &x [1]\nb: *x", "anchors"),
        ("a: &x b", "anchors"),
        ("a: *x", "aliases"),
        ("a: 1\na: 2", "given twice"),
        ("a: 1\n---\nb: 2", "second document"),
        ("? [a, b]\n: c", "a key must be a word"),
        ("null: c", "a key must be a word"),
        ("a: b: c", "line 1"),
        ("a: 'b", "line"),
        ("a: \x00", "special characters"),
        (r'a: "\0"', "not allowed"),
        (r'a: "\ud800"', "half a character"),
        (r'a: "\ude00\ud83d"', "half a character"),
        (r'"\udfff": a', "half a character"),
        (r'a: "\U00110000"', "range"),
        ("- a", "not a mapping"),
        ("word", "not a mapping"),
    ],
)
def test_what_skills_may_not_use_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(YamlRefused, match=reason) as caught:
        parse_mapping(text)
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    with pytest.raises(YamlRefused, match="anchors"):
        parse_mapping(bomb)


@pytest.mark.parametrize(
    "text",
    ["[" * 60_000, "{" * 60_000, "a: " + "[" * 60_000, "- " * 30_000, "? " * 30_000, "[a," * 20_000],
    ids=["brackets", "braces", "value", "dashes", "questions", "items"],
)
def test_deep_nesting_is_refused_in_bounded_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(YamlRefused, match=f"nested deeper than {MAX_DEPTH}"):
        parse(text)
    # The parser alone takes three minutes for the first of them.
    assert time.process_time() - began < 5


def test_depth_is_allowed_up_to_the_limit() -> None:
    assert parse("[" * MAX_DEPTH + "a" + "]" * MAX_DEPTH) is not None
    with pytest.raises(YamlRefused, match="nested deeper"):
        parse("[" * (MAX_DEPTH + 1) + "a" + "]" * (MAX_DEPTH + 1))


def test_too_many_values_are_refused() -> None:
    with pytest.raises(YamlRefused, match="too many"):
        parse("\n".join(f"k{n}: v" for n in range(8000)))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:- \n\t[]{}&*!|>'\"%@`#?,~\\0.\u2028éuUxd8F"), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    # Nothing but YamlRefused comes out: a skill that cannot be read must not stop the others.
    with suppress(YamlRefused):
        parse(text)
