"""Markdown as HTML that can do nothing, in time that does not grow without bound."""

from __future__ import annotations

import re

import pytest

from agentgw_daemon.gateway.pages.chat.markdown import MOST_BLOCK_CHARS, TIP, first_lines, html_of

# As model text, tool output or a file quoted in it.
ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![beacon](http://evil.example/b.png)",
    '![b](http://evil.example/b.png "t")',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example)",
    "[x](/sign-out)",
    "<javascript:alert(1)>",
    "[r]\n\n[r]: javascript:alert(1)",
    '[x](http://a.b "onmouseover=alert(1) \\" x=")',
    "<svg><script>alert(1)</script></svg>",
    "<style>@import 'http://evil.example'</style>",
    "<a href='http://a.b' onclick=alert(1)>x</a>",
    "<div hx-get=/ hx-trigger=load>x</div>",
    "<hx-partial hx-target=body>x</hx-partial>",
    "```html onload=alert(1)\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "| <script> | b |\n|:--|--:|\n| <img src=x onerror=1> | 2 |",
    "<!--><script>alert(1)</script>-->",
    "<iframe srcdoc='<script>1</script>'>",
    "<base href=http://evil.example>",
    "<meta http-equiv=refresh content=0>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\x00<script\x00>alert(1)</script>",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("open_end", [True, False])
def test_what_is_meant_to_do_something_is_text(attack: str, open_end: bool) -> None:
    html = html_of(attack, {}, open_end=open_end)
    tags = re.findall(r"<[^>]*>", html)
    names = {re.split(r"[\s>]", tag.strip("</"))[0] for tag in tags}
    assert names <= {"p", "a", "pre", "code", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "br"}, html
    for tag in tags:
        assert not re.search(r"\s(on\w+|src|style|srcdoc|hx-[\w-]+|id|name)\s*=", re.sub(r'"[^"]*"', '""', tag)), tag
    for address in re.findall(r'href="([^"]*)"', html):
        assert address.startswith(("http://", "https://", "mailto:")), address


# Addresses that are none of the web, or only look so, and the places where a reader may take one for an address.
ADDRESSES = [
    "javascript:alert(1)", " JavaScript:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)",
    "javascript&colon;alert(1)", "javascript&#58;alert(1)", "data:text/html,<script>1</script>",
    "data:image/svg+xml;base64,PHN2Zz4=", "vbscript:1", "blob:http://x/1", "file:///x", "about:blank", "ws://x",
    "ftp://x", "intent://x", "tel:1", "//evil.example", "/\\evil.example", "\\\\evil.example", "feed:javascript:1",
    "view-source:x", 'http://a.b" onmouseover="1', 'mailto:a@b" style="x',
]  # fmt: skip
PLACES = [
    "[x](<{}>)", '[x]({} "t")', "![x](<{}>)", "<{}>", "[r]\n\n[r]: <{}> 't'", "[![i]({})]({})", "# [x]({})",
    "| [x]({}) |\n|---|\n| ![y]({}) |", "> - [x]({})\n>   - ![y]({})", "```{}\n[x]({})\n```",
    "~~~ {}\n</code></pre><b>\n~~~",
    '<svg><a xlink:href="{}"><text>x</text></a><animate onbegin=1>', '<math href="{}"><mglyph><style><img src="{}">',
    '<form action="{}"><button formaction="{}">', '<object data="{}"><embed src="{}">', '<video src="{}" poster="{}">',
    '<link rel=stylesheet href="{}">', '<meta http-equiv=refresh content="0;{}">', '<img srcset="{} 1x">',
    '<td background="{}" style="background:url({})">', '<noscript><p title="</noscript><img src={} onerror=1>">',
    '<svg><foreignObject><iframe src="{}">', "<template><a href={}>x</a></template>", "[x](http://a.b){{onclick={}}}",
]  # fmt: skip

KNOWN_TAGS = {
    "p", "a", "pre", "code", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "br", "h3", "ul", "li",
    "blockquote", "em", "hr",
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_address_in_any_place_leads_anywhere_but_to_the_web(place: str) -> None:
    for address in ADDRESSES:
        for open_end in (True, False):
            html = html_of(place.replace("{}", address), {}, open_end=open_end)
            for tag in re.findall(r"<[^>]*>", html):
                known = re.fullmatch(
                    r'</?([a-z0-9]+)((?: (?:href|title|class|rel|target|tabindex)="[^"]*")*) ?/?>', tag
                )
                assert known is not None, (address, tag)
                assert known[1] in KNOWN_TAGS, (address, tag)
                for link in re.findall(r' href="([^"]*)"', known[2]):
                    assert link.startswith(("http://", "https://", "mailto:")), (address, tag)


def test_a_link_says_nothing_to_where_it_leads() -> None:
    html = html_of("[x](https://a.b/c)", {})
    assert 'rel="noopener noreferrer nofollow"' in html
    assert 'target="_blank"' in html


def test_an_image_is_told_and_not_loaded() -> None:
    html = html_of("![a *cat*](http://evil.example/b.png)", {})
    assert html == '<p><span class="image">image: a cat (http://evil.example/b.png)</span></p>\n'


def test_headings_stand_below_those_of_the_page() -> None:
    env: dict[str, object] = {}
    assert html_of("## a\n\n###### b\n\n# c", env) == "<h3>a</h3>\n<h4>b</h4>\n<h3>c</h3>\n"
    assert html_of("### d\n\n#### e", env, open_end=True).startswith("<h4>d</h4>\n<h5>e")
    assert html_of("### d", env) == "<h4>d</h4>\n"


def test_a_named_address_is_known_to_later_blocks_of_the_answer() -> None:
    env: dict[str, object] = {}
    html_of("[r]: https://a.b", env)
    assert 'href="https://a.b"' in html_of("see [r]", env)


def test_code_has_colours_where_its_language_is_known_and_none_while_it_is_written() -> None:
    assert '<span class="t-k">' in html_of("```python\nreturn 1\n```", {})
    assert "<span" not in html_of("```nosuch\nreturn 1\n```", {})
    assert html_of("```python\nreturn 1", {}, open_end=True) == f'<pre tabindex="0"><code>return 1{TIP}</code></pre>\n'


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("a **b", f"**b{TIP}</p>\n"),
        ("- a\n- b", f"b{TIP}</li>\n</ul>\n"),
        ("> a", f"a{TIP}</p>\n</blockquote>\n"),
        ("# a", f"a{TIP}</h3>\n"),
        ("---\n", f"<p>{TIP}</p>"),
        ("```\nx\n```\n", f"<p>{TIP}</p>"),
        ("", f"<p>{TIP}</p>"),
    ],
)
def test_more_words_go_behind_the_last_ones(text: str, ends: str) -> None:
    assert html_of(text, {}, open_end=True).endswith(ends)


@pytest.mark.parametrize("piece", ["*a* ", "`a` ", "~~a~~ ", "[a](http://b.c) ", "![a](http://b.c) "])
def test_words_with_too_much_in_them_are_not_looked_through(piece: str) -> None:
    """Looking for ends of so many beginnings takes time that grows with the square of them."""
    assert html_of(piece * 20, {}).count("<") > 2
    assert html_of(piece * 500, {}).count("<") == 2


def test_a_table_is_made_of_the_cells_that_were_written_not_of_those_that_could_be() -> None:
    """A line without cells gets all columns, so that a few thousand characters would make millions of cells."""
    head = "|" + "a|" * 100 + "\n|" + "-|" * 100 + "\n"
    assert html_of(head + "|b|\n" * 20, {}).count("<td>") == 2000
    grown = html_of(head + "|b|\n" * 500, {})
    assert "<td>" not in grown
    assert grown.count("|b|") == 500
    # Those behind it are tables as before.
    assert html_of(f"{head}{'|b|' * 500}\n\n| c |\n|---|\n| d |", {}).endswith("</table></div>\n")


def test_what_is_too_long_is_shown_as_it_is() -> None:
    text = "<b> *a* " * MOST_BLOCK_CHARS
    html = html_of(text, {})
    assert html.startswith('<div class="plain">&lt;b&gt; *a* ')


def test_blocks_begin_where_their_first_line_is() -> None:
    assert first_lines("a\nb\n\n- c\n- d\n\n```\ne\n```\n") == [
        (0, "paragraph_open"), (3, "bullet_list_open"), (6, "fence"),
    ]  # fmt: skip
