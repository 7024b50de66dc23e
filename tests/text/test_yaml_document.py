"""YAML with places: what is read, what makes one node bad, and what ends the reading."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.text.yaml_document import (
    MAX_DEPTH,
    MAX_EVENTS,
    BadNode,
    DocumentRefused,
    ListNode,
    MappingNode,
    ScalarNode,
    parse_document,
)


def test_nodes_know_where_they_stand() -> None:
    text = "jobs:\n  - name: 'a b'  # said\n"
    document = parse_document(text)
    assert isinstance(document, MappingNode)
    jobs = document.get("jobs")
    assert isinstance(jobs, ListNode)
    assert (jobs.span.line, jobs.span.column) == (2, 2)
    (entry,) = jobs.items
    assert isinstance(entry, MappingNode)
    name = entry.get("name")
    assert isinstance(name, ScalarNode)
    assert (name.text, name.plain) == ("a b", False)
    assert text[name.span.start : name.span.end] == "'a b'"
    assert entry.get("other") is None


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n...\n"])
def test_an_empty_document_has_no_node_or_an_empty_one(text: str) -> None:
    node = parse_document(text)
    assert node is None or (isinstance(node, ScalarNode) and node.text == "")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("*x", "aliases"),
        ("&x y", "anchors"),
        ("!!python/object/apply:os.system [ls]", "tags"),
        ("!local y", "tags"),
        ("&x [1, 2]", "anchors"),
        ("!!map {a: b}", "tags"),
        ("{a: 1, a: 2}", "given twice"),
        ("{[a]: 1}", "a key must be a word"),
        (r'"\ud800"', "half a character"),
        (r'"\0"', "not allowed"),
    ],
)
def test_what_is_not_allowed_makes_its_own_node_bad(value: str, reason: str) -> None:
    document = parse_document(f"first: {value}\nsecond: fine\n")
    assert isinstance(document, MappingNode)
    bad, fine = document.get("first"), document.get("second")
    assert isinstance(bad, BadNode)
    assert reason in bad.reason
    assert bad.span.line == 1
    assert isinstance(fine, ScalarNode)


def test_aliases_grow_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    document = parse_document("\n".join(lines))
    assert isinstance(document, MappingNode)
    assert all(isinstance(node, BadNode) for _, node in document.entries)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_ends_the_reading(opening: str) -> None:
    with pytest.raises(DocumentRefused, match=f"deeper than {MAX_DEPTH}"):
        parse_document(opening * 10_000)


def test_too_many_values_end_the_reading() -> None:
    with pytest.raises(DocumentRefused, match="too many"):
        parse_document("- a\n" * MAX_EVENTS)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: b\nc: 'open\n", 2), ("a: b\n\tc: d\n", 2), ("a: b\n---\nc: d\n", 2), ("a: b\n  c: d\n", 2), ("%YAML 9\n", 1)],
)
def test_what_cannot_be_read_has_a_line(text: str, line: int) -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse_document(text)
    assert refused.value.line in (line, line + 1)
    assert refused.value.reason
    assert "\n" not in refused.value.reason


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@\n\t ,?\\x0uDd8\u2028\x85\ufeff", max_size=60))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    with suppress(DocumentRefused):
        parse_document(text)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: b\ncron: * * * * *\n", 2, "a value that begins with * needs quotes"),
        ("a: b\nmessage: & more\n", 2, "a value that begins with & needs quotes"),
        ("a: b\ncron: @daily\n", 2, "found character '@' that cannot start any token: a value that begins with it"),
        ("a: b\nmessage: `date`\n", 2, "a value that begins with it needs quotes"),
        ("a: b\nmessage: %d\n", 2, "a value that begins with it needs quotes"),
        ("a:\n\t- b\n", 2, "indent with blanks, not with tabs"),
        ("a: b\nmessage: say: hello\n", 2, "a value with a colon and a blank in it needs quotes"),
        ("a: b\nc: d\0\n", 2, "the character #x0000 is not allowed"),
        ("a: b\r\nc: \x1b[1m\r\n", 2, "the character #x001b is not allowed"),
    ],
)
def test_what_people_write_without_quotes_is_told_with_the_remedy(text: str, line: int, reason: str) -> None:
    with pytest.raises(DocumentRefused) as caught:
        parse_document(text)
    assert caught.value.line == line
    assert reason in caught.value.reason
    assert caught.value.reason.isprintable()
