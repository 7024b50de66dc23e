from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.retrieval.reading.formats.pages import PAGE
from tests.workers.retrieval.reading.reads import read_bytes, read_text


def test_a_page_has_headings_paragraphs_lists_code_and_tables() -> None:
    document, [piece] = read_text("guide.html", PAGE)
    assert (document.format, document.title, document.extracted) == ("html", "The <Guide>", True)
    assert piece.title_path == "The <Guide> > Install"
    assert piece.text.split("\n\n") == [
        "Install",
        "It takes one minute.\nThen\xa0restart.".replace("\xa0", " "),
        "- First this",
        "- then that",
        "On Linux",
        "apt install it\n    --now",
        "Name | Size\na | 1 MB",
        "Unclosed",
        "paragraphs & entities",
    ]


def test_lines_count_in_the_extracted_text() -> None:
    _, pieces = read_text("a.html", "".join(f"<p>{'word ' * 60}{n}</p>" for n in range(20)))
    assert [piece.first_line for piece in pieces[:2]] == [1, pieces[0].last_line + 2]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="windows-1251">', "cp1251"),
        ('<meta http-equiv="x" content="text/html; charset=koi8-r">', "koi8-r"),
        ("", "utf-8"),
        ("", "utf-16"),
    ],
)
def test_the_declared_encoding_is_used(tmp_path: Path, head: str, encoding: str) -> None:
    page = f"<html><head>{head}</head><body><p>Привет, мир</p></body></html>"
    _, [piece] = read_bytes(tmp_path, "a.html", page.encode(encoding))
    assert piece.text == "Привет, мир"


@pytest.mark.parametrize("tag", ["div", "b", "table", "ul", "blockquote", "pre", "svg"])
def test_nesting_of_any_depth_is_read(tag: str) -> None:
    text = (
        "<p>before</p>" + f"{f'<{tag}>' * 50_000}{'' if tag == 'svg' else 'inside'}{f'</{tag}>' * 50_000}<p>after</p>"
    )
    _, pieces = read_text("a.html", text)
    found = " ".join(piece.text for piece in pieces)
    assert found.startswith("before")
    assert found.endswith("after")
    assert ("inside" in found) == (tag != "svg")


@pytest.mark.parametrize(
    "text", ["<", "<a ", "<!--", "&", "<![CDATA[", "<p a='", "</", "<td>", "&#x110000;", "<title>"]
)
def test_broken_pages_are_read_to_their_end(text: str) -> None:
    _, pieces = read_text("a.html", f"<p>Seen.</p>{text * 100_000}")
    assert pieces[0].text.startswith("Seen.")


def test_an_empty_title_in_xhtml_does_not_hide_the_page() -> None:
    page = '<?xml version="1.0"?><html><head><title/><script src="a.js" /></head><body><p>Seen.</p></body></html>'
    _, [piece] = read_text("a.xhtml", page)
    assert piece.text == "Seen."


def test_entities_that_the_page_declares_are_not_expanded() -> None:
    page = '<!DOCTYPE html [<!ENTITY a "boom"><!ENTITY b SYSTEM "file:///etc/passwd">]><p>&a;&b;</p>'
    _, pieces = read_text("a.html", page)
    assert not any("boom" in piece.text or "root:" in piece.text for piece in pieces)


def shown(page: str) -> list[str]:
    return [block for piece in read_text("a.html", page)[1] for block in piece.text.split("\n\n")]


def test_a_page_made_of_a_layout_table_is_paragraphs() -> None:
    page = """<table><tr><td><h1>Hive</h1></td></tr><tr><td>Menu</td><td><p>First text.</p><p>Second text.</p>
    <table><tr><th>Day</th><th>Bees</th></tr><tr><td>Monday</td><td>7</td></tr></table><h2>Honey</h2>Sweet.</td></tr></table>
    <p>End.</p>"""
    assert shown(page) == [
        "Hive", "Menu", "First text.", "Second text.", "Day | Bees\nMonday | 7", "Honey", "Sweet.", "End.",
    ]  # fmt: skip


def test_a_cell_with_a_long_text_lays_out_the_page() -> None:
    sentence = "The bees dance in the dark and tell where the flowers are. "
    page = f"<table><tr><td>Menu</td><td>{sentence * 20}</td><td>Right</td></tr></table>"
    found = shown(page)
    assert not any(" | " in block for block in found)
    assert found[0].startswith("Menu")
    assert found[-1] == "Right"


def test_a_table_of_data_with_paragraphs_in_its_cells_stays_one() -> None:
    rows = "<tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td><ul><li>c</ul></td><td><div>d</div></td></tr>"
    assert shown(f"<table>{rows}</table>") == ["a | b\nc | d"]


def test_the_first_row_stands_over_each_chunk_of_a_table() -> None:
    rows = "".join(f"<tr><td>Town number {n}</td><td>{n}</td></tr>" for n in range(200))
    _, pieces = read_text("a.html", f"<title>T</title><table><tr><th>Town</th><th>Hours</th></tr>{rows}</table>")
    assert len(pieces) > 4
    assert {piece.title_path for piece in pieces} == {"T > Town, Hours"}


@pytest.mark.parametrize("tag", ["nav", "noscript", "select", "button", "svg", "object", "template", "iframe"])
def test_an_element_that_is_never_closed_does_not_swallow_the_page(tag: str) -> None:
    found = " ".join(shown(f"<div><{tag}><p>Home</div><h1>Hive</h1><p>The bees.</p>"))
    assert "The bees." in found or tag in ("iframe", "noscript")
    assert "Home" not in shown(f"<div><{tag}>Home</{tag}></div><p>The bees.</p>")


def test_values_of_fields_are_read_and_secret_ones_are_not() -> None:
    page = """<form><label>Name</label><input value="Anna Bee"><input type="hidden" value="token">
    <input type=password value=secret><input type=submit value=Send><input type=search placeholder="a town">
    <textarea>Two
lines</textarea></form>"""
    found = " ".join(shown(page))
    for expected in ("Anna Bee", "a town", "Two lines"):
        assert expected in found
    for unexpected in ("token", "secret", "Send"):
        assert unexpected not in found


def test_formulas_are_read_once_and_soft_hyphens_are_out() -> None:
    formula = """<math><semantics><mrow><mi>E</mi><mo>=</mo><mi>m</mi></mrow>
    <annotation encoding="application/x-tex">E=m</annotation></semantics></math>"""
    assert shown(f"<p>So {formula} holds.</p>") == ["So E=m holds."]
    assert shown("<p>Donau&shy;dampf\u00adschiff, break<wbr>able, <ruby>漢<rt>kan</rt></ruby></p>") == [
        "Donaudampfschiff, breakable, 漢"
    ]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>It&#146;s &#150; &#x93;x&#148; &#128;5", "It’s – “x” €5"),
        ("<p>caf&eacute au &copy 2020 &#233t&#xe9;", "café au © 2020 été"),
        ("<p>&check; &lbrack;x&rsqb; &hearts; &nosuch;", "✓ [x] ♥ &nosuch;"),
        ("<p>&amp;lt;b&amp;gt; &lt;i&gt; AT&T a&b=1", "&lt;b&gt; <i> AT&T a&b=1"),
        ("<p>&#60;script&#62;x&#60;/script&#62; &#0;&#xD800; end", "<script>x</script> \ufffd\ufffd end"),
        ("<p><img alt='A &amp; &quot;B&quot; &eacute;'>", 'A & "B" é'),
    ],
)
def test_references_are_read_as_browsers_read_them(page: str, text: str) -> None:
    assert shown(page) == [text]


@pytest.mark.parametrize(
    "page",
    [
        "<title>My page\n<p>The bees.</p><p>They dance.</p>",
        "<html><head><title>My page<body><p>The bees.</p><p>They dance.",
        "<textarea>Home<p>The bees.</p><p>They dance.</p>",
        "<xmp>Home<p>The bees.</p><p>They dance.</p>",
        "<iframe src=x><p>The bees.</p><p>They dance.</p>",
        "<noscript><p>The bees.</p><p>They dance.</p>",
    ],
)
def test_what_is_text_up_to_its_end_ends(page: str) -> None:
    found = shown(page)
    assert found[-2:] == ["The bees.", "They dance."]


def test_words_of_drawings_are_read_and_their_names_are_not() -> None:
    drawing = "<svg><title>icon</title><text>Axis <tspan>of time</tspan></text><path d='M0'/><text>West</text></svg>"
    assert shown(f"<p>One{drawing}two</p>") == ["One Axis of time West two".replace("One ", "One")]
    boxed = "<svg><foreignObject><div>In a</div><div>box</div></foreignObject></svg>"
    assert shown(f"<p>One</p>{boxed}<p>two</p>") == ["One", "In a box", "two"]
    assert shown(f"<svg/><p>One</p>{drawing}") == ["One", "Axis of time West"]
