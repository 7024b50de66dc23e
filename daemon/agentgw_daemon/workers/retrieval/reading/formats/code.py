"""Source code: functions and classes by Python's own parser, or by the shape that other languages share. No I/O."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block, HeadingPath, Outline, lines_of, title_of

# A syntax tree takes a hundred times the memory of its text.
_MAX_PYTHON_CHARS: Final = 1 << 20
_LINE_END: Final = re.compile(r"\r\n?|\n")
_NAME_WITHIN_CHARS: Final = 2000
# Words that are followed by the name of what they declare, in the languages people have here.
_DECLARATION: Final = re.compile(
    r"""^\(?(?:[\w@\[\]()<>,:&*~]{1,40}[ \t]{1,4}){0,5}?
    (?:func(?:tion)?|fn|fun|def|defp|defn|defun|defmacro|class|struct|interface|enum|union|trait|impl|module|mod|
       namespace|package|protocol|extension|object|record|type|sub|proc|procedure|macro_rules!|message|service|
       (?:CREATE|create)[ \t](?:OR[ \t]REPLACE[ \t])?(?:TABLE|VIEW|FUNCTION|PROCEDURE|INDEX|TRIGGER|table|view))
    [ \t]{1,4}(?:\([^()\n]{0,80}\)[ \t]?)?([\w.:$~!?'-]{1,80})""",
    re.VERBOSE | re.MULTILINE,
)
# `int main(`, `const add = (`, `name() {`
_CALLABLE: Final = re.compile(
    r"^(?:[\w<>,:&*\[\]]{1,40}[ \t*&]{1,4}){0,5}?([\w:~$]{1,80})[ \t]?(?:=[ \t]?(?:async[ \t])?)?\(", re.MULTILINE
)
_CLOSES: Final = re.compile(r"[\])}>]|end\b|fi\b|done\b|esac\b|else\b|elif\b|except\b|finally\b|EOF\b")
_SECTION: Final = re.compile(r"[ \t]{0,8}\[{1,2}([^\[\]\n]{1,80})\]{1,2}[ \t]*(?:[#;].{0,200})?\r?\n?")


def python_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """Functions and methods of a Python module; of one that does not parse, what its shape tells."""
    tree = _tree(text)
    if tree is None:
        yield from code_blocks(text, outline)
        return
    starts = [0, *(found.end() for found in _LINE_END.finditer(text)), len(text)]
    at = 0
    for node, path in _definitions(tree.body, outline.path):
        end = starts[min(node, len(starts) - 1)]
        if end > at:
            yield Block("whole", at, end, path)
            at = end
    if at < len(text):
        yield Block("whole", at, len(text), outline.path)


def _tree(text: str) -> ast.Module | None:
    if len(text) > _MAX_PYTHON_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _definitions(body: list[ast.stmt], path: HeadingPath) -> Iterator[tuple[int, HeadingPath]]:
    """Last lines of the stretches that belong together: statements between definitions, functions, heads of classes."""
    for at, node in enumerate(body):
        last = node.end_lineno or node.lineno
        following = body[at + 1] if at + 1 < len(body) else None
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield last, (*path, title_of(node.name))
            case ast.ClassDef():
                inner = (*path, title_of(node.name))
                if not _is_definition(node.body[0]):
                    yield from _definitions(node.body, inner)
                else:
                    yield _first_line(node.body[0]) - 1, inner
                    yield from _definitions(node.body, inner)
            case _ if following is None or _is_definition(following):
                yield last, path


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _first_line(node: ast.stmt) -> int:
    """The first line of a definition: where its decorators begin."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return node.lineno


def code_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """Blocks that begin at the margin after a blank line or a closing brace, up to the next such place."""
    start, after_gap = 0, False
    for at, end in lines_of(text):
        first = text[at]
        if first.isspace():
            after_gap = after_gap or text[at:end].isspace()
            continue
        closes = _CLOSES.match(text, at) is not None
        if after_gap and not closes and at > start:
            yield _code(text, start, at, outline)
            start = at
        after_gap = closes and first in "}e"
    if start < len(text):
        yield _code(text, start, len(text), outline)


def _code(text: str, start: int, end: int, outline: Outline) -> Block:
    head = text[start : min(end, start + _NAME_WITHIN_CHARS)]
    found = _DECLARATION.search(head) or _CALLABLE.search(head)
    return Block("whole", start, end, (*outline.path, title_of(found[1].rstrip(":"))) if found else outline.path)


def configuration_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """Lines below the names in brackets of INI and TOML."""
    start = 0
    for at, end in lines_of(text):
        if (found := _SECTION.fullmatch(text, at, end)) is None:
            continue
        if at > start:
            yield Block("lines", start, at, outline.path)
        yield Block("heading", at, end, outline.enter(1, found[1]))
        start = end
    if start < len(text):
        yield Block("lines", start, len(text), outline.path)
