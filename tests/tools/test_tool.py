"""Functions as tools: their schema from hints and docstring, their results as text."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from agentgw.tool import UserTool, tool
from agentgw_daemon.tools.parameters import checked_parameters


@tool
def example(
    text: str,
    count: int,
    ratio: float = 0.5,
    tags: list[str] | None = None,
    options: dict[str, int] = {},  # noqa: B006  # a default as users write it
    *,
    mode: Literal["a", "b"] = "a",
    anything: Any = None,
    bare=True,  # type: ignore[no-untyped-def]  # users leave hints out
) -> dict[str, Any]:
    """Does something.

    More about it, and note: this is no parameter.

    Args:
        text: what to do
            it with: everything
        count (int): how often
        mode: one of two

    Returns:
        ratio: not a parameter
    """
    return {"text": text, "count": count, "mode": mode, "tags": tags}


def test_the_schema_is_made_of_hints_docstring_and_defaults() -> None:
    assert isinstance(example, UserTool)
    assert (example.name, example.description) == ("example", "Does something.")
    assert example.parameters == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "what to do it with: everything"},
            "count": {"type": "integer", "description": "how often"},
            "ratio": {"type": "number", "default": 0.5},
            "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "options": {"type": "object", "additionalProperties": {"type": "integer"}},
            "mode": {"enum": ["a", "b"], "description": "one of two", "default": "a"},
            "anything": {},
            "bare": {"type": "string", "default": True},
        },
        "required": ["text", "count"],
        "additionalProperties": False,
    }
    assert checked_parameters(example.parameters) == example.parameters


def test_a_tool_is_still_its_function() -> None:
    assert example("a", count=2)["count"] == 2
    assert (example.effect, example.outbound) == ("command", False)


def test_options() -> None:
    @tool(effect="network", outbound=True)
    def sent() -> None:
        """Sends."""

    assert (sent.effect, sent.outbound, sent.run({})) == ("network", True, "")
    with pytest.raises(TypeError, match="effect must be one of none, read"):
        tool(effect="nice")  # type: ignore[call-overload]  # what the test is about
        tool(effect="nice")(example.function)  # type: ignore[call-overload]  # what the test is about


@pytest.mark.parametrize(
    ("given", "text"), [("ä", "ä"), (None, ""), ({"ä": 1}, '{"ä": 1}'), ([1, 2], "[1, 2]"), (3, "3"), ({1}, '"{1}"')]
)
def test_results_become_text(given: Any, text: str) -> None:
    @tool
    def give() -> Any:
        """Gives."""
        return given

    @tool
    async def give_later() -> Any:
        """Gives."""
        return given

    assert give.run({}) == give_later.run({}) == text


def test_arguments_with_other_names_are_an_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
        example.run({"text": "a", "count": 1, "x": 2})


def test_what_cannot_be_a_tool() -> None:
    def silent(a: int) -> None:
        pass

    def positional(a: int, /) -> None:
        """Takes."""

    def many(*a: int) -> None:
        """Takes."""

    def odd(a: bytes) -> None:
        """Takes."""

    for function, said in (
        (silent, "silent needs a docstring"),
        (positional, "cannot be given by name"),
        (many, "cannot be given by name"),
        (odd, "odd: a has a type that a model cannot give"),
    ):
        with pytest.raises(TypeError, match=said):
            tool(function)
