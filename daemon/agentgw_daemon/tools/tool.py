"""Tools: their description for the model, what an approval shows of a call, and the call itself."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from agentgw.protocol.records.schema import record
from agentgw.tool import Effect
from agentgw_daemon.text.valid import valid_text
from agentgw_daemon.text.visible import visible_line

# A sixteenth of a frame of the wire, and some 16,000 tokens: more than a small local model's whole context.
MAX_CONTENT_BYTES: Final = 64 << 10
# JSON escapes a character to at most six bytes.
MAX_CONTENT_JSON_BYTES: Final = 6 * MAX_CONTENT_BYTES
_NOTE_BYTES: Final = 512
# A diff that nobody reads to its end protects nobody; what is left out is said.
MAX_DIFF_CHARS: Final = 64 << 10

Arguments = Mapping[str, Any]


@record
class ToolSpec:
    """A tool as the model and the approval see it."""

    name: str
    # Part of every prompt: each word costs prefill.
    description: str
    # JSON Schema of an object.
    parameters: Mapping[str, Any]
    effect: Effect
    # It can carry data out of the machine: after untrusted text such a call always asks.
    outbound: bool = False
    # Its result is text that somebody else wrote.
    untrusted: bool = False
    # Arguments that are paths, for `needs_approval`.
    paths: tuple[str, ...] = ()
    # One call after the other, although it changes nothing by itself.
    ordered: bool = False


@record
class ToolContext:
    """Place of a call. `cwd`, `roots` and `denied` are absolute and free of links (see `places.roots_of`)."""

    cwd: Path
    roots: tuple[Path, ...]
    # Our own directories: no tool reads or writes below them, whatever anybody approves.
    denied: tuple[Path, ...]
    session_id: str
    turn_id: str
    instance: str
    # The daemon's own; children get a few names of it (`environment.py`).
    environ: Mapping[str, str]
    # The things that an approval of this call was for; None: nobody had to agree to it, or to the tool as such.
    agreed: tuple[str, ...] | None = None

    @property
    def home(self) -> str:
        """The user's home directory, or nothing."""
        home = self.environ.get("HOME", "")
        return home if os.path.isabs(home) else ""


@record
class CallPreview:
    """Preview in an approval. Every text has its control characters escaped."""

    title: str
    details: tuple[str, ...] = ()
    # A unified diff, of a call that changes a file.
    diff: str | None = None
    # Meaning of the call's words at this moment: real paths, inodes, digests. An approval is for these.
    things: tuple[str, ...] = ()


@record
class ToolResult:
    """Result that the model is told. `content` is at most MAX_CONTENT_BYTES and a note."""

    ok: bool
    content: str
    untrusted: bool = False


class CallFailed(Exception):
    """The call cannot be done. Its text is for the model: what is wrong and what to do instead."""

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        # The text holds what somebody else wrote.
        self.untrusted = untrusted


class RunnableTool(Protocol):
    """One tool. Arguments have passed `check_arguments`."""

    @property
    def spec(self) -> ToolSpec:
        """The description of the tool."""
        ...

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """The preview for an approval. Raises CallFailed when the call cannot succeed: nobody has to be
        asked then.
        """
        ...

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """Carry the call out. A failure is a result with `ok` false. Cancelling ends it and everything it started."""
        ...


class FunctionTool:
    """A tool made of two functions: `run` gives the content or raises CallFailed, `describe` the preview."""

    __slots__ = ("_describe", "_run", "spec")

    def __init__(
        self,
        spec: ToolSpec,
        run: Callable[[Arguments, ToolContext], Awaitable[str]],
        describe: Callable[[Arguments, ToolContext], Awaitable[CallPreview]],
    ) -> None:
        self.spec = spec
        self._run = run
        self._describe = describe

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """See RunnableTool."""
        try:
            return await self._describe(arguments, context)
        except OSError as error:
            raise CallFailed(explain(error)) from error

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """See RunnableTool."""
        try:
            content = await self._run(arguments, context)
        except CallFailed as failed:
            return ToolResult(ok=False, content=bounded(failed.text), untrusted=failed.untrusted)
        except OSError as error:
            return ToolResult(ok=False, content=explain(error))
        return ToolResult(ok=True, content=bounded(content), untrusted=self.spec.untrusted)


def check_agreed(context: ToolContext, things: tuple[str, ...]) -> None:
    """Raises CallFailed when the call would be about other things than somebody agreed to."""
    if context.agreed is not None and context.agreed != things:
        raise CallFailed("what the call is about was changed since it was agreed to; nothing was done")


def explain(error: OSError) -> str:
    """The error as a sentence for the model."""
    text = (error.strerror or str(error)).lower()
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return f"{visible_line(name)}: {text}" if name else text


def visible_path(path: Path) -> str:
    """The path for a message."""
    return visible_line(str(path))


def bounded(text: str, note: str = "the rest is left out") -> str:
    """The text, cut at MAX_CONTENT_BYTES of UTF-8, with a note where it was cut. A tool's own note still fits."""
    text = valid_text(text)
    raw = text.encode()
    if len(raw) <= MAX_CONTENT_BYTES + _NOTE_BYTES:
        return text
    return f"{raw[:MAX_CONTENT_BYTES].decode('utf-8', 'ignore')}\n[{note}]"


def bounded_diff(text: str) -> str:
    """The diff for an approval, which is escaped already, as far as anybody reads."""
    if len(text) <= MAX_DIFF_CHARS:
        return text
    return f"{text[:MAX_DIFF_CHARS]}\n[{len(text) - MAX_DIFF_CHARS} more characters are not shown]"
