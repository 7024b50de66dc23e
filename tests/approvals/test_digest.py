from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.approvals.digest import digest_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CALLS = st.tuples(st.text(), st.dictionaries(st.text(), JSON, max_size=3), st.text())


def exact(value: Any) -> object:
    """Two values have the same one exactly when no tool could tell them apart: 1, 1.0 and true differ."""
    match value:
        case dict():
            return "object", frozenset((name, exact(one)) for name, one in value.items())
        case list() | tuple():
            return "array", tuple(map(exact, value))
        case _:
            return type(value), repr(value)


@given(CALLS, CALLS)
def test_calls_that_differ_have_digests_that_differ(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (digest_of(*one) == digest_of(*other)) == (exact(one) == exact(other))


@given(CALLS)
def test_the_order_of_names_does_not_count(call: tuple[Any, ...]) -> None:
    tool, arguments, cwd = call
    assert digest_of(tool, dict(reversed(arguments.items())), cwd) == digest_of(tool, arguments, cwd)


def test_neighbouring_parts_do_not_run_into_each_other() -> None:
    calls = [
        ("run", {"argv": ["ls", "a b"]}, "/"), ("run", {"argv": ["ls", "a", "b"]}, "/"),
        ("run", {"argv": ["ls"]}, "/a"), ("run", {"argv": ["ls; id"]}, "/"), ("run", {"argv": [["ls"], "a b"]}, "/"),
        ("run", {"argv": 1}, "/"), ("run", {"argv": 1.0}, "/"), ("run", {"argv": True}, "/"),
        ("run", {"argv": "1"}, "/"),
    ]  # fmt: skip
    assert len({digest_of(*call) for call in calls}) == len(calls)


def test_things_count_in_their_order_and_a_call_without_any_is_another() -> None:
    things = [(), ("a",), ("b",), ("a", "b"), ("b", "a"), ("a\nb",)]
    assert len({digest_of("t", {}, "/", one) for one in things}) == len(things)
