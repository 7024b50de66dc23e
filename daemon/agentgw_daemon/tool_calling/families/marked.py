"""Families that put JSON calls between markers: most of them. What differs is the markers."""

from __future__ import annotations

from agentgw_daemon.tool_calling.answers.reading import THINKING, BlockReader, json_block, read_answer
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor, read_choice, read_space
from agentgw_daemon.tool_calling.families.tagged import read_function


def read_hermes(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """`<tool_call>{"name", "arguments"}</tool_call>`: Hermes, Qwen 2.5 and 3, Granite 4 and many more.

    Within the same markers Qwen3-Coder writes `<function=NAME>`.
    """
    as_json = json_block("<tool_call>", "</tool_call>")

    def read(stream: TextCursor) -> Reading[None]:
        yield from read_space(stream)
        if (yield from read_choice(stream, ("<function=",))):
            yield from read_function(stream)
        else:
            yield from as_json(stream)

    blocks: dict[str, BlockReader] = {"<tool_call>": read, "<function=": read_function}
    yield from read_answer(stream, blocks, dropped=("</tool_call>",), thinks_first=thinks_first)


def read_pipe(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """`<|tool_call|>[…]`, closed by `<|/tool_call|>` (Phi-4-mini) or by nothing (Granite 3)."""

    def read(stream: TextCursor) -> Reading[None]:
        yield from json_block("<|tool_call|>")(stream)

    blocks: dict[str, BlockReader] = {"<|tool_call|>": read}
    yield from read_answer(stream, blocks, dropped=("<|/tool_call|>",), thinks_first=thinks_first)


def read_nemotron(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """`<TOOLCALL>[…]</TOOLCALL>`."""
    blocks = {"<TOOLCALL>": json_block("<TOOLCALL>", "</TOOLCALL>")}
    yield from read_answer(stream, blocks, dropped=("</TOOLCALL>",), thinks_first=thinks_first)


def read_command(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """`<|START_ACTION|>[{"tool_name", "parameters"}]<|END_ACTION|>`: Command R7B and later."""
    yield from read_answer(
        stream,
        {"<|START_ACTION|>": json_block("<|START_ACTION|>", "<|END_ACTION|>")},
        thinking={**THINKING, "<|START_THINKING|>": "<|END_THINKING|>"},
        dropped=("<|END_ACTION|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
        thinks_first=thinks_first,
    )
