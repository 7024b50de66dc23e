"""Markdown of a model as HTML that can do nothing: made from the text's own blocks, then sanitised.

HTML in the text is text. Images are told, not loaded. Whoever reads the page may follow a link; nothing else leaves the
machine. Sizes are bounded, because the text is a stranger's and some of it is made to be slow.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from agentgw_daemon.gateway.pages.chat.code import highlighted

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict
    from nh3 import Cleaner

Env = MutableMapping[str, Any]
"""Of one answer: the addresses that its links refer to by name, and how deep its last heading was."""

# Place for the next words of an answer that is still being written.
TIP: Final = '<span class="tip"></span>'
# A block that is longer is shown as it is. No paragraph, list or table is that long; code may be.
MOST_BLOCK_CHARS: Final = 32_000
# Each of these may begin something that the parser looks for the end of; ten lines of prose have a handful.
_OPENERS: Final = re.compile(r"[\[!*_~`<&]")
_MOST_OPENERS: Final = 400
# A table's lines by its columns: cells that a line leaves out are made as well, so few characters would be many cells.
_MOST_CELLS: Final = 4000
# Of quotations and lists in each other.
_MOST_DEPTH: Final = 20
# The page and the parts of a turn have headings of their own above these. No level is left out, whatever was written:
# who goes from heading to heading would look for what is missing.
_HEADINGS_DOWN: Final = 2
_LOWEST_HEADING: Final = 6
_LAST_LEVEL: Final = "heading level"

_TAGS: Final = {
    "p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "span", "div", "em",
    "strong", "s", "a", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}, "span": {"class"}, "div": {"class"}}
_SCHEMES: Final = {"http", "https", "mailto"}


def html_of(text: str, env: Env, *, open_end: bool = False) -> str:
    """Blocks of Markdown as HTML. `open_end`: more of the last block is to come, at `TIP`."""
    if len(text) > MOST_BLOCK_CHARS and not text.lstrip().startswith(("```", "~~~")):
        return f'<div class="plain">{escape(text)}{TIP if open_end else ""}</div>'
    parser = _parser()
    if open_end:
        # It comes again, so it leaves no trace.
        env = dict(env)
    tokens = parser.parse(text, env)
    _set_levels(tokens, env)
    if open_end:
        _put_tip(tokens)
    return _cleaner().clean(parser.renderer.render(tokens, parser.options, env))


def first_lines(text: str) -> list[tuple[int, str]]:
    """First line and kind of each block at the top of a text."""
    parser = _parser()
    tokens: list[Token] = []
    parser.block.parse(text, parser, {}, tokens)
    return [(token.map[0], token.type) for token in tokens if token.level == 0 and token.map and token.nesting >= 0]


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MOST_DEPTH}).enable(["table", "strikethrough"])
    parser.core.ruler.at("inline", _inline)
    parser.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    parser.validateLink = lambda url: url.partition(":")[0].lower() in _SCHEMES  # type: ignore[method-assign]  # its own way to be set
    rules = {
        "fence": _fence, "code_block": _fence, "image": _image, "table_open": _table_open, "table_close": _table_close,
    }  # fmt: skip
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


@cache
def _cleaner() -> Cleaner:
    """Sanitiser for HTML that the rules above let through by mistake."""
    from nh3 import Cleaner

    return Cleaner(
        tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, url_relative="deny",
        link_rel="noopener noreferrer nofollow", tag_attribute_values={"div": {"tabindex": {"0"}}},
        # What is wider than the page is scrolled, by the keyboard too.
        set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},
    )  # fmt: skip


def _table(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """A table, unless it would be too large: then its lines are a paragraph's."""
    from markdown_it.rules_block import table

    if not table(state, first, end, True):
        return False
    at = state.bMarks[first]
    columns = state.src.count("|", at, state.eMarks[first]) + 1
    blank = state.src.find("\n\n", at)
    lines = state.src.count("\n", at, blank if blank >= 0 else len(state.src))
    return columns * lines <= _MOST_CELLS and (silent or table(state, first, end, False))


def _inline(state: StateCore) -> None:
    """Words, links and emphasis of each block, unless looking for them would take too long."""
    from markdown_it.token import Token

    for token in state.tokens:
        if token.type != "inline":
            continue
        if len(_OPENERS.findall(token.content)) > _MOST_OPENERS:
            token.children = [Token("text", "", 0, content=token.content)]
        else:
            token.children = []
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _set_levels(tokens: list[Token], env: Env) -> None:
    for token in tokens:
        if token.type == "heading_open":
            wanted = min(int(token.tag[1:]) + _HEADINGS_DOWN, _LOWEST_HEADING)
            env[_LAST_LEVEL] = min(wanted, env.get(_LAST_LEVEL, _HEADINGS_DOWN) + 1)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{env[_LAST_LEVEL]}"


def _put_tip(tokens: list[Token]) -> None:
    """Mark the place for more text: behind the last words, or in a paragraph of its own."""
    from markdown_it.token import Token

    last = next((token for token in reversed(tokens) if token.nesting >= 0), None)
    if last is not None and last.type == "inline" and last.children is not None:
        last.children.append(Token("html_inline", "", 0, content=TIP))
    elif last is not None and last.type == "fence" and not _is_closed(last):
        last.meta["tip"] = True
    else:
        tokens.append(Token("html_block", "", 0, content=f"<p>{TIP}</p>"))


def _is_closed(fence: Token) -> bool:
    """Tells whether the line that ends it is there: it is one more than the first one and those of the code."""
    first, end = fence.map or (0, 0)
    return end - first > 1 + len(fence.content.splitlines())


def _fence(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Env) -> str:
    token = tokens[at]
    is_open = bool(token.meta.get("tip"))
    language = token.info.strip().partition(" ")[0]
    # What is still being written is coloured when it is whole: half a text in quotes would colour all that follows.
    body = escape(token.content) + TIP if is_open else highlighted(token.content, language)
    return f"<pre><code>{body}</code></pre>\n"


def _image(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Env) -> str:
    token = tokens[at]
    words = renderer.renderInlineAsText(token.children or [], options, env)
    return f'<span class="image">image: {escape(words)} ({escape(str(token.attrGet("src") or ""))})</span>'


def _table_open(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Env) -> str:
    return '<div class="scroll" tabindex="0"><table>\n'


def _table_close(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Env) -> str:
    return "</table></div>\n"
