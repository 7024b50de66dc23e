from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.inference.structured_output.pattern import Matcher, PatternError, bounded, lengths, parse

PATTERNS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "\\s", "\\.", "[a-c\\d]", "-", '"', "\\\\"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        inner.map(lambda part: f"({part})?"),
        st.tuples(inner, st.sampled_from(["{2}", "{1,3}", "+?", "{0,2}"])).map(lambda pair: f"({pair[0]}){pair[1]}"),
    ),
    max_leaves=5,
)


@given(PATTERNS, st.sampled_from(["", "^"]), st.sampled_from(["", "$"]), st.text('ab1- ."\\', max_size=6))
def test_it_matches_what_re_finds(pattern: str, start: str, end: str, text: str) -> None:
    try:
        node = parse(start + pattern + end)
    except PatternError:
        return
    assert Matcher(node).matches(text) == bool(re.search(start + pattern + end, text))


@given(PATTERNS, st.text("ab1-", max_size=8))
def test_no_match_is_shorter_or_longer_than_said(pattern: str, text: str) -> None:
    try:
        node = parse(f"^{pattern}$")
    except PatternError:
        return
    if Matcher(node).matches(text):
        least, most = lengths(node)
        assert least <= len(text)
        assert most is None or len(text) <= most


def test_a_pattern_that_keeps_re_busy_for_ever_takes_no_time() -> None:
    assert not Matcher(parse("^(a|a)+(a|aa)+$")).matches("a" * 3000 + "b")


def test_a_repeated_class_takes_bounds_from_outside() -> None:
    node = bounded(parse("^[a-z]+$"), 2, 5)
    assert node is not None
    assert lengths(node) == (2, 5)
    assert bounded(parse("^a[a-z]+$"), 0, 5) is None


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[", "[]", "*", "a**", "a{3,1}", "a{x}", "a{99999}", "(?=a)", "\\b", "\\1", "\\p{L}", "a$b",
     "(^a)", "(a$)", "[z-a]", "\\", "\\u12", "(a?)*", "(()){2}"],
)  # fmt: skip
def test_what_it_cannot_follow_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        parse(pattern)
