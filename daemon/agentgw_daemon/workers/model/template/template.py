"""A model's own chat template, rendered: a stranger's program, sandboxed and limited in time, memory and output.

It gets what Hugging Face's `apply_chat_template` gives: `messages`, `tools`, `documents`, `add_generation_prompt`,
the special tokens, `raise_exception`, `strftime_now`, `tojson`, loop controls, and `{% generation %}` blocks.

Nothing that messages and tools say can pretend to be control tokens (see `marking`). A vocabulary that puts a space
before every fragment shows the model one space there. Control tokens of one character and tokens that a model merely
defines and its template does not write are left alone. Does no I/O.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agentgw_daemon.system.confinement import TimeExceeded, confine
from agentgw_daemon.workers.model.template.marking import MARKS, Json, Marking, NestsTooDeeply, free_mark, texts_of
from agentgw_daemon.workers.model.template.tool_format import QUESTION, TemplateMessage, ToolFormat, probe

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.parser import Parser
    from jinja2.runtime import Context

T = TypeVar("T")
ToolDeclaration = Mapping[str, Any]

# The longest template known to us is 30 KB.
MAX_SOURCE_CHARACTERS: Final = 1 << 20
MAX_OUTPUT_CHARACTERS: Final = 1 << 20
MAX_TIME_S: Final = 2.0
MAX_MEMORY_BYTES: Final = 256 << 20
_MAX_INTEGER_BITS: Final = 4096
# Quotes and backslashes of what goes through tojson double.
_MOST_GROWTH: Final = 2
# All that JSON in ASCII writes as escapes; not the marks, which are to be found again.
_ESCAPED: Final = re.compile(f"[^\x00-\x7f{MARKS[0]}-{MARKS[-1]}]")
# The format most small chat models were trained on.
CHATML: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Ends the answer of a model that was not trained on ChatML, for which this is no control token.
CHATML_STOPS: Final = ("<|im_end|>",)
# Enough to see whether it has begun the model's reasoning.
MAX_PROMPT_END_CHARACTERS: Final = 64
_MAX_REASON_CHARACTERS: Final = 200
# All that the code of a template can raise; MemoryError and SyntaxError come from compiling it.
_FAULTS: Final = (
    jinja2.TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NameError,
    RuntimeError, SyntaxError, TypeError, ValueError, TimeExceeded,
)  # fmt: skip


class TemplateFault(Exception):
    """The template cannot be used, or not with these messages; the text says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt; no control token may be read across two of its fragments."""

    fragments: tuple[str, ...]

    @property
    def text(self) -> str:
        """The prompt as one string."""
        return "".join(self.fragments)


class _Generation(Extension):
    """`{% generation %}` marks the model's own words for training; here it is its body."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with the operators that can keep one instruction busy for minutes bounded."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            if bits > _MAX_INTEGER_BITS:
                raise SecurityError("a number grows too large")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Environment:
    made = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])
    # Templates of models use none of these, and each is a way to spend memory or time.
    for name in ("lipsum", "cycler", "joiner"):
        del made.globals[name]
    made.globals["raise_exception"] = _raise_exception
    made.globals["strftime_now"] = _strftime_now
    made.filters["tojson"] = _tojson
    return made


def _raise_exception(message: object) -> None:
    raise jinja2.TemplateError(str(message)[:512])


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own escapes <, > and & for HTML, which no model was trained on.
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort_keys)
    return _ESCAPED.sub(lambda found: json.dumps(found[0])[1:-1], text) if ensure_ascii else text


class ChatTemplate:
    """One compiled template. Raises TemplateFault if it does not compile or cannot render a plain question.

    `stops` end an answer besides the model's own end tokens.
    """

    def __init__(
        self, source: str, *, bos: str = "", eos: str = "", controls: Iterable[str] = (), stops: tuple[str, ...] = ()
    ) -> None:
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise TemplateFault(f"it is {len(source)} characters long")
        self._variables: Final = {
            "bos_token": bos, "eos_token": eos, "documents": None, "add_generation_prompt": True,
        }  # fmt: skip
        self.source: Final = source
        self.stops: Final = stops
        self._marking: Final = Marking(controls)
        self._template: Final = _guarded(lambda: _environment().from_string(source))
        self.prompt_end: Final = self._render([QUESTION], None)[-MAX_PROMPT_END_CHARACTERS:]
        self._folds_system: Final = self._ignores_system()
        self._tool_shape: Final[ToolFormat | None] = probe(self._render_or_none) if "tools" in source else None

    @property
    def takes_tools(self) -> bool:
        """Tells whether the template shows tools, calls and their results."""
        return self._tool_shape is not None

    def render(self, messages: Sequence[TemplateMessage], tools: Sequence[ToolDeclaration] | None = None) -> Rendered:
        """The prompt for these messages. Raises TemplateFault.

        Calls have objects as arguments (`{"tool_calls": [{"type": "function", "id", "function": {"name",
        "arguments"}}]}`); results are `{"role": "tool", "name", "tool_call_id", "content"}`.
        """
        if self._folds_system:
            messages = _fold_system(messages)
        try:
            mark = free_mark(texts_of([list(messages), list(tools or ())]))
        except NestsTooDeeply as error:
            raise TemplateFault(str(error)) from error
        if mark is not None:
            messages = [self._marked(message, mark) for message in messages]
            tools = [self._marked(tool, mark) for tool in tools] if tools else None
        if self._tool_shape is not None:
            messages = self._tool_shape.adapt(messages)
        text = self._render(messages, tools)
        return Rendered(fragments=tuple(text.split(mark)) if mark is not None else (text,))

    def _marked(self, message: TemplateMessage, mark: str) -> TemplateMessage:
        return {key: value if key == "role" else self._marking.mark(value, mark) for key, value in message.items()}

    def _render(self, messages: Sequence[TemplateMessage], tools: Sequence[ToolDeclaration] | None) -> str:
        return _guarded(lambda: self._run([dict(message) for message in messages], tools or None))

    def _render_or_none(
        self, messages: Sequence[TemplateMessage], tools: Sequence[ToolDeclaration] | None
    ) -> str | None:
        try:
            return self._render(messages, tools)
        except TemplateFault:
            return None

    def _run(self, messages: list[dict[str, Any]], tools: Sequence[ToolDeclaration] | None) -> str:
        given: Json = [messages, list(tools or ())]
        limit = MAX_OUTPUT_CHARACTERS + _MOST_GROWTH * sum(map(len, texts_of(given)))
        pieces, length = [], 0
        for piece in self._template.generate(messages=messages, tools=tools, **self._variables):
            length += len(piece)
            if length > limit:
                raise TemplateFault("it makes over 1 MiB of text")
            pieces.append(piece)
        return "".join(pieces)

    def _ignores_system(self) -> bool:
        """Tells whether a system message is refused or dropped. A plain question works either way."""
        shown = self._render_or_none([{"role": "system", "content": "a rule"}, QUESTION], None)
        return shown is None or "a rule" not in shown


def choose(
    source: str | None, *, bos: str = "", eos: str = "", controls: Iterable[str] = ()
) -> tuple[ChatTemplate, str]:
    """The model's template and "model", or ChatML and why."""
    controls = frozenset(controls)
    reason = "the model has no template"
    if source is not None:
        try:
            return ChatTemplate(source, bos=bos, eos=eos, controls=controls), "model"
        except TemplateFault as fault:
            reason = f"the model's template cannot be used: {fault}"
    return ChatTemplate(CHATML, bos=bos, eos=eos, controls=controls, stops=CHATML_STOPS), f"chatml ({reason})"


def _guarded(work: Callable[[], T]) -> T:
    try:
        return confine(work, time_s=MAX_TIME_S, memory_bytes=MAX_MEMORY_BYTES)
    except _FAULTS as fault:
        raise TemplateFault(_reason(fault)) from fault


def _reason(fault: BaseException) -> str:
    match fault:
        case TimeExceeded():
            return f"it takes over {MAX_TIME_S:g} s"
        case MemoryError():
            return "it takes too much memory"
        case RecursionError():
            return "it nests too deeply"
        case jinja2.TemplateSyntaxError() if fault.message and "unknown tag" in fault.message:
            return fault.message.split(".")[0].removeprefix("Encountered ")
        case jinja2.TemplateError():
            return (fault.message or type(fault).__name__)[:_MAX_REASON_CHARACTERS]
        case _:
            return f"{type(fault).__name__}: {fault}"[:_MAX_REASON_CHARACTERS]


def _fold_system(messages: Sequence[TemplateMessage]) -> list[TemplateMessage]:
    """The messages with what the system says put before what the user says first."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    others: list[TemplateMessage] = [message for message in messages if message["role"] != "system"]
    if not system:
        return others
    for at, message in enumerate(others):
        if message["role"] == "user":
            others[at] = {**message, "content": f"{system}\n\n{message['content']}"}
            return others
    return [{"role": "user", "content": system}, *others]
