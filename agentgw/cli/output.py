"""Output on the terminal and into pipes.

Standard output carries the answer and nothing else; all other words go to standard error. An answer is shown with its
control characters escaped when it goes to a terminal, and passes untouched into a pipe. Lines of ours (notices, traces,
listings) have everything escaped that is not seen, wherever they go: `--json` is exact. The only ANSI sequences are the
colours of `write_coloured`, on a terminal and without `NO_COLOR`.
"""

from __future__ import annotations

import json
import os
import sys

from agentgw.protocol.errors import AgentgwError, LocalError, RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final, TextIO

# Exit status: something of what was asked for went wrong.
FAILED: Final = 1
# Exit status: a tool was denied. The answer came about without it.
DENIED: Final = 5
INTERRUPTED: Final = 130
# The status that a shell reports for a process that a closed pipe ended: 128 + SIGPIPE.
CLOSED_PIPE: Final = 141
# Half a billion ends of ids; they are counted up, so those made together differ in them.
SHORT_ID_DIGITS: Final = 6
_NAME: Final = "agentgw: "
# Columns of text that are worth having beside a name.
_LEAST_CELLS: Final = 20
NARROW_INDENT: Final = 4
RED: Final = "\x1b[31m"
GREEN: Final = "\x1b[32m"
_PLAIN: Final = "\x1b[0m"

_quiet = False


class OutputLost(LocalError):
    """Standard output is closed, or what it leads to takes no more: a full disk."""

    remedy = "lead it elsewhere, or make room"


def be_quiet() -> None:
    """Writes nothing but errors to standard error from here on."""
    global _quiet
    _quiet = True


def is_quiet() -> bool:
    """Tells whether notices and progress are unwanted."""
    return _quiet


def is_terminal(stream: TextIO | None) -> bool:
    """Tells whether a person looks at the stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        # Closed.
        return False


def visible(text: str) -> str:
    """The text with every character escaped that could move the cursor or reorder text; emoji stay whole."""
    if text.isascii() and text.isprintable():
        return text
    from agentgw.protocol.visible import harmless

    return harmless(text)


def one_line(text: str) -> str:
    """The text on one line, with everything escaped that is not seen: for what is no answer."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    from agentgw.protocol.visible import escaped

    # Blanks of other kinds are not those that a name or a sentence is made of: they are escaped.
    for end in "\r\n\t":
        text = text.replace(end, " ")
    return escaped(" ".join(filter(None, text.split(" "))))


def write(text: str) -> None:
    """Writes to standard output, without flushing. Raises BrokenPipeError when nobody reads it, and OutputLost."""
    stream = sys.stdout
    if stream is None:
        raise OutputLost("standard output is closed")
    # Not through the text layer: a character the locale lacks must not end the answer.
    data = (visible(text) if is_terminal(stream) else text).encode(stream.encoding or "utf-8", "replace")
    try:
        stream.buffer.write(data)
    except OSError as error:
        raise _lost(error) from None


def write_coloured(text: str, colour: str) -> None:
    """Writes as `write` does, in a colour (nothing is none) where standard output is a terminal that may have one."""
    from agentgw.local.environment import Environment

    if not colour or not is_terminal(sys.stdout) or Environment().no_color:
        write(text)
        return
    # The codes themselves are no text, so they do not go through `write`.
    sys.stdout.buffer.write(colour.encode())
    write(text)
    sys.stdout.buffer.write(_PLAIN.encode())


def flush() -> None:
    """Everything written so far goes out. Raises BrokenPipeError when nobody reads it, and OutputLost."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _lost(error) from None


def _lost(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    return OutputLost(f"standard output cannot be written: {error.strerror}")


def end() -> int:
    """Sends out what is left in both streams; gives the exit status that this brings, 0 when all is well."""
    status = 0
    try:
        if sys.stdout is not None:
            # The text layer too: argparse prints through it.
            sys.stdout.flush()
    except BrokenPipeError:
        status = CLOSED_PIPE
    except (OSError, ValueError) as error:
        status = report(OutputLost(f"standard output cannot be written: {getattr(error, 'strerror', error)}"))
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            # Nobody listens.
            return status
    return status


def line(text: str) -> None:
    """Writes one line to standard output."""
    write(text + "\n")
    flush()


def text_block(text: str) -> None:
    """A text to standard output, ended by exactly one newline."""
    line(text.rstrip("\n"))


def prose(text: str) -> None:
    """A text in Markdown to read, as `text_block`; on a terminal its lines are broken between words."""
    text_block(broken(text, 1, markdown=True) if is_terminal(sys.stdout) else text)


def own_lines(text: str) -> None:
    """Lines of ours, as `prose`, but broken whatever they begin with: none is code or a table."""
    text_block(broken(text, 1) if is_terminal(sys.stdout) else text)


def broken(text: str, descriptor: int, *, markdown: bool = False) -> str:
    """The text as `visible` gives it, with its lines broken between words for the terminal behind the descriptor."""
    # Here, for a pipe does not need it.
    from agentgw.cli.terminal import wrapping

    return wrapping.broken(visible(text), columns(descriptor), markdown=markdown)


def json_line(value: object) -> None:
    """Writes one JSON value to standard output, on one line."""
    # The escaped form of a control character is JSON's own, so a terminal gets ASCII.
    line(json.dumps(value, ensure_ascii=is_terminal(sys.stdout), separators=(",", ":")))


def table(rows: Sequence[Sequence[object]], headers: Sequence[str], *, whole: int = 0) -> None:
    """Aligned columns. On a terminal the lines are cut to its width, in a pipe they are whole.

    A terminal that has little room behind so many `whole` columns gets the others below them.
    """
    # Here and below, for help, version and answers measure no text.
    from agentgw.cli.cells import width

    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(width(row[column]) for row in [list(headers), *cells]) for column in range(len(headers))]
    if whole and is_terminal(sys.stdout) and sum(widths[:whole]) + 2 * whole + _LEAST_CELLS > columns():
        for row in cells:
            _write_row(row[:whole], widths[:whole])
            told = [f"{name} {value}" for name, value in zip(headers[whole:-1], row[whole:-1], strict=True) if value]
            paragraph(", ".join((*told, row[-1])), NARROW_INDENT)
        flush()
        return
    for row in ([header.upper() for header in headers], *cells):
        _write_row(row, widths)
    flush()


def table_row(row: Sequence[object], widths: Sequence[int]) -> None:
    """Writes one line of a table whose rows come one after another; a negative width sets its cell to the right."""
    _write_row([_cell(value) for value in row], widths)
    flush()


def _write_row(cells: Sequence[str], widths: Sequence[int]) -> None:
    from agentgw.cli.cells import cut, ljust, rjust

    text = "  ".join(
        ljust(value, most) if most >= 0 else rjust(value, -most) for value, most in zip(cells, widths, strict=True)
    ).rstrip()
    write((cut(text, columns()) if is_terminal(sys.stdout) else text) + "\n")


def paragraph(text: str, indent: int = 0, lead: str = "") -> None:
    """A text of one line, on a terminal broken between words; each line is indented, the first behind `lead`."""
    from agentgw.cli.cells import cut, ljust, width, wrapped

    text = one_line(text)
    parts: Sequence[str] = (text,)
    if is_terminal(sys.stdout):
        room, longest = columns() - indent, max(map(width, text.split()), default=0)
        if width(text) > room and (room < _LEAST_CELLS or (lead and room < longest <= columns() - NARROW_INDENT)):
            # So little room would part words.
            if lead:
                write(f"{cut(lead.rstrip(), columns())}\n")
            lead, indent = "", min(indent, NARROW_INDENT)
        parts = tuple(wrapped(text, max(columns() - indent, 1)))
    for part in parts or ("",):
        write(f"{ljust(lead, indent)}{part}".rstrip() + "\n")
        lead = ""


def short_id(name: str) -> str:
    """An id as a terminal shows it: its end, by which it is found as well. In a pipe it is whole."""
    kind, hyphen, rest = name.partition("-")
    return f"{kind}{hyphen}{rest[-SHORT_ID_DIGITS:]}" if hyphen and is_terminal(sys.stdout) else name


def pairs(values: Sequence[tuple[str, object]]) -> None:
    """Names and values, a line each; on a terminal a long value goes on below its beginning."""
    from agentgw.cli.cells import width

    most = max((width(name) for name, _ in values), default=0)
    for name, value in values:
        paragraph(_cell(value), most + 2, name)
    flush()


def size(count: int | None) -> str:
    """A number of bytes for people, in powers of ten as disks and networks are sold."""
    if count is None:
        return ""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit in ("B", "kB", "MB") or value >= 99.5 else f"{value:.1f} {unit}"


def milliseconds(value: float | None) -> str:
    """A time for people: three digits at most matter."""
    if value is None:
        return ""
    return f"{value:.0f} ms" if value < 999.5 else f"{value / 1000:.1f} s"


def percent(share: float | None) -> str:
    """A share of 1 for people."""
    if share is None:
        return ""
    return "<1%" if 0 < share < 0.01 else f"{share * 100:.0f}%"


def numbers(values: Sequence[tuple[str, int]]) -> None:
    """Names and counts to standard error, a line each, unless that is unwanted."""
    from agentgw.cli.cells import ljust, width

    names = [one_line(name) for name, _ in values]
    most = max(map(width, names), default=0)
    digits = max((len(str(value)) for _, value in values), default=0)
    if not _quiet:
        for name, (_, value) in zip(names, values, strict=True):
            _to_stderr(f"{ljust(name, most)}  {value:{digits}}")


def notice(text: str) -> None:
    """`agentgw: text` on standard error, unless that is unwanted."""
    if not _quiet:
        _complain(one_line(text))


def complaint(text: str) -> None:
    """`agentgw: text` on standard error, also when only errors are wanted."""
    _complain(one_line(text))


def report(error: AgentgwError) -> int:
    """The error as one line on standard error, then its notes; gives the exit status."""
    from agentgw.cli.cells import width

    message, hint = one_line(error.message), one_line(error.advice)
    # A question has its end already.
    end = "" if message.endswith("?") else "."
    text = f"{message}{end} {hint}" if hint else message
    if hint and is_terminal(sys.stderr) and width(f"{_NAME}{text}") > columns(2):
        # What is to be typed stays in one piece where a line has room for it.
        text = f"{message}{end}\n  {hint}"
    _complain(text)
    for note in getattr(error, "__notes__", ()):
        _to_stderr(str(note))
    return error.exit_status


def report_fault(error: BaseException) -> AgentgwError:
    """A fault of ours as one line on standard error; gives it as an error. A full or read-only disk is no fault."""
    from agentgw.local.directories import advice_about

    told = AgentgwError(f"internal error: {one_line(f'{type(error).__name__}: {error}')}", hint="please report it")
    if isinstance(error, OSError) and (hint := advice_about(error, "")):
        named = f"{error.filename}: " if isinstance(error.filename, str) else ""
        told = AgentgwError(f"{named}{error.strerror}", hint=hint)
    report(told)
    return told


def json_error(error: AgentgwError, exit_status: int) -> None:
    """Writes an error to standard output, for whoever asked for JSON, with what there was of the answer before it."""
    told: dict[str, Any] = {"message": error.message, "exit_status": exit_status}
    if isinstance(error, RpcError):
        told.update(code=error.code, data=error.data)
    if hint := error.advice:
        told["hint"] = hint
    json_line({**error.partial, "error": told})


def abandon_stdout() -> None:
    """Points standard output at nothing, so that what is left in its buffer raises no more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _complain(text: str) -> None:
    _to_stderr(f"{_NAME}{text}")


def _to_stderr(text: str) -> None:
    stream = sys.stderr
    if stream is None:
        return
    try:
        stream.write((broken(text, 2) if is_terminal(stream) else text) + "\n")
        stream.flush()
    except (OSError, ValueError):
        # Nobody listens; the exit status still tells.
        return


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return one_line(str(value))


def columns(descriptor: int = 1) -> int:
    """The width of the terminal on standard output, or on standard error, which is 2."""
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80


def as_json(value: Any) -> str:
    """The value for people: indented."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def rate(worker: dict[str, Any]) -> str:
    """Tokens a second of a worker, where it has written anything."""
    return f"{worker['tokens_per_s']:.0f}" if worker.get("tokens_per_s") else ""
