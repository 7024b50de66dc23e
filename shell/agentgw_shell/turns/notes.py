"""Lines of ours between the lines of an answer: calls of tools, notices, sources. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentgw.cli.output import one_line
from agentgw_shell.rendering.spans import DIM, Line
from agentgw_shell.rendering.wrapping import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# It tells what happens, it is not the content: two lines of a terminal.
_CALL_CHARACTERS: Final = 160


def note(text: str, columns: int) -> list[Line]:
    """A remark, wrapped."""
    wrapper = Wrapper(columns, (), ((DIM, "  "),))
    wrapper.add([(DIM, one_line(text))])
    return wrapper.end()


def call_note(params: Mapping[str, Any], columns: int) -> list[Line]:
    """A call of a tool that begins, or what was wrong with it; nothing for one that went well."""
    if "tool" in params:
        arguments = ", ".join(f"{name}={value!r}" for name, value in params.get("arguments", {}).items())
        return note(_short(f"⚙ {params['tool']}({arguments})"), columns)
    return [] if params.get("ok") else note(_short(f"⚙ failed: {params.get('content', '')}"), columns)


def source_notes(chunks: Iterable[Mapping[str, Any]], columns: int) -> list[Line]:
    """Sources of an answer, a line each."""
    return [line for text in source_texts(chunks) for line in note(text, columns)]


def source_texts(chunks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Number, place and heading of each."""
    texts = []
    for number, chunk in enumerate(chunks, 1):
        lines = "-".join(str(line) for line in dict.fromkeys(_sequence(chunk.get("lines"))))
        title = f" {chunk['title_path']}" if chunk.get("title_path") else ""
        texts.append(f"[{number}] {chunk.get('source', '')}:{lines}{title}")
    return texts


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _CALL_CHARACTERS else f"{line[:_CALL_CHARACTERS]}…"
