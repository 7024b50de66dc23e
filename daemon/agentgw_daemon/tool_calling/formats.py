"""The form of tool calls that a model knows, told by its chat template and never by its name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

from agentgw.protocol.records.schema import record
from agentgw_daemon.tool_calling.answers.stream import Reading, StreamParser, TextCursor
from agentgw_daemon.tool_calling.families.deepseek import read_deepseek
from agentgw_daemon.tool_calling.families.fenced import read_fenced
from agentgw_daemon.tool_calling.families.harmony import read_harmony
from agentgw_daemon.tool_calling.families.llama import read_llama
from agentgw_daemon.tool_calling.families.marked import read_command, read_hermes, read_nemotron, read_pipe
from agentgw_daemon.tool_calling.families.mistral import read_mistral
from agentgw_daemon.tool_calling.families.plain import read_plain
from agentgw_daemon.tool_calling.families.tagged import read_tagged


class AnswerReader(Protocol):
    """Reads one answer; `thinks_first` is the marker that ends reasoning which the prompt has begun."""

    def __call__(self, stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
        """Read the answer."""


@record
class Format:
    """Form of a model's answers. `native`: its template shows it the tools; otherwise somebody else has to."""

    name: str
    native: bool
    read: AnswerReader
    thinks_first: str | None = None

    def parser(self) -> StreamParser:
        """A parser for one answer."""
        return StreamParser(partial(self.read, thinks_first=self.thinks_first))


# The first whose markers all stand in the template; those whose markers others share come later.
_FAMILIES: Final[tuple[tuple[str, tuple[str, ...], AnswerReader], ...]] = (
    ("harmony", ("<|channel|>", "<|message|>"), read_harmony),
    ("deepseek", ("<｜tool▁call▁begin｜>",), read_deepseek),
    ("command", ("<|START_ACTION|>",), read_command),
    ("mistral", ("[TOOL_CALLS]",), read_mistral),
    ("nemotron", ("<TOOLCALL>",), read_nemotron),
    ("hermes", ("<tool_call>",), read_hermes),
    ("pipe", ("<|tool_call|>",), read_pipe),
    ("llama", ("<|python_tag|>",), read_llama),
    ("tagged", ("<function=",), read_tagged),
    ("fenced", ("tool_code",), read_fenced),
    ("llama", ('"name"', '"parameters"'), read_llama),
)
_READERS: Final[Mapping[str, AnswerReader]] = {name: read for name, _, read in _FAMILIES}
_THINKING: Final = {"<think>": "</think>", "[THINK]": "[/THINK]", "<|START_THINKING|>": "<|END_THINKING|>"}
# Markers of forms that no reader here knows, though they stand beside one that is known (GLM 4.5 writes arguments so).
_UNKNOWN: Final = ("<arg_key>",)

PLAIN: Final = Format(name="plain", native=False, read=read_plain)


def choose(template: str, *, takes_tools: bool, prompt_end: str = "") -> Format:
    """The format of a model with this chat template.

    `takes_tools`: rendered with tools, calls and results it showed them all. `prompt_end` is how a rendered prompt
    ends: where it has begun the reasoning, the answer goes on with it.
    """
    end = prompt_end.rstrip()
    thinks_first = next((closing for opening, closing in _THINKING.items() if end.endswith(opening)), None)
    known = takes_tools and not any(marker in template for marker in _UNKNOWN)
    name = next((name for name, markers, _ in _FAMILIES if all(marker in template for marker in markers)), None)
    if known and name is not None:
        return Format(name=name, native=True, read=_READERS[name], thinks_first=thinks_first)
    if name == "harmony":
        # Its channels are there without tools too.
        return Format(name=name, native=False, read=read_harmony)
    return Format(name="plain", native=False, read=read_plain, thinks_first=thinks_first)


def named(name: str, *, thinks_first: str | None = None) -> Format:
    """A native format by its name. Raises KeyError."""
    return Format(name=name, native=True, read=_READERS[name], thinks_first=thinks_first)


NAMES: Final = tuple(dict.fromkeys(name for name, _, _ in _FAMILIES))
