"""Lists of entries below a key: what is wrong around them, and the values of one."""

from __future__ import annotations

import pytest

from agentgw_daemon.text.yaml_entries import EntryRefused, EntryValues, entries_of, name_of

KEYS = ("name", "url", "enabled", "events", "timeout_s", "tries")


def refusals(text: str) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in entries_of(text, "hooks", KEYS, most=5).refused]


def values(text: str) -> EntryValues:
    (node,) = entries_of(f"hooks:\n  - {text}\n", "hooks", KEYS, most=5).nodes
    return EntryValues(node, "hook", KEYS)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("- name: a\n", 1, "the file is a list; put `hooks:` above it"),
        ("words\n", 1, "the file is not a mapping with `hooks:`"),
        ("hook:\n", 1, "unknown key 'hook'; did you mean hooks?"),
        ("hooks: []\nurl: x\n", 2, "unknown key 'url'; it belongs into an entry below `hooks:`"),
        ("hooks: 3\n", 1, "`hooks` is not a list; each entry begins with `- `"),
    ],
)
def test_what_is_wrong_around_the_entries_is_told_with_its_line(text: str, line: int, reason: str) -> None:
    assert refusals(text) == [(line, reason)]


@pytest.mark.parametrize("text", ["", "hooks:\n", "hooks: null\n", "# nothing\n", "\ufeffhooks: []\n"])
def test_an_empty_list_is_no_problem(text: str) -> None:
    assert entries_of(text, "hooks", KEYS, most=5).nodes == ()
    assert refusals(text) == []


def test_entries_before_and_behind_a_broken_one_are_read() -> None:
    text = 'hooks:\n  - name: a\n  - name: "b\n  - name: c\n'
    found = entries_of(text, "hooks", KEYS, most=5)
    assert [name_of(node) for node in found.nodes] == ["a", "c"]
    assert len(found.refused) == 1


def test_one_entry_more_than_allowed_is_given() -> None:
    text = "hooks:\n" + "  - name: a\n" * 20
    assert len(entries_of(text, "hooks", KEYS, most=5).nodes) == 6


def test_values_are_read_by_their_kind() -> None:
    made = values("name: a\n    enabled: no\n    events: [x, y, x]\n    timeout_s: 2.5\n    tries: 3\n    url:")
    assert (made.name(), made.boolean("enabled", True), made.words("events")) == ("a", False, ("x", "y"))
    assert (made.seconds("timeout_s", None, most=10), made.integer("tries", 0, most=5)) == (2.5, 3)
    assert made.text("url") is None


@pytest.mark.parametrize("text", ["name: a\n    nme: b", "- a", "words", "name: !!python/object a"])
def test_an_entry_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(EntryRefused):
        values(text)
