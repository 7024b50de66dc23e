from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.reads import read_bytes, read_text

RSS: Final = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE rss [<!ENTITY eacute "&#233;"> <!ENTITY bees 'Bees &amp; Co'>]>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>News of the &bees;</title>
<item><title>Caf&eacute; &amp; hive</title><link>https://example.org/1</link>
<description>&lt;p&gt;They &lt;b&gt;dance&lt;/b&gt;.&lt;/p&gt;&lt;p&gt;Gr&amp;uuml;n&lt;/p&gt;</description></item>
<item><title>Honey &mdash; how?</title>
<content:encoded><![CDATA[<h2>Combs</h2><p>Wax &eacute; wax.</p><img src="x" alt="A comb">]]></content:encoded></item>
</channel></rss>"""
ATOM: Final = """<feed xmlns="http://www.w3.org/2005/Atom"><title type="html">A &amp;amp; B</title>
<entry><title>First</title>
<summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Some <em>words</em>.</div></summary>
</entry></feed>"""


def test_a_feed_is_text_below_its_titles() -> None:
    document, pieces = read_text("news.rss", RSS)
    assert (document.format, document.title, document.extracted) == ("xml", "News of the Bees & Co", True)
    text = "\n".join(piece.text for piece in pieces)
    for expected in (
        "Café & hive",
        "They dance.",
        "Grün",
        "Honey — how?",
        "Wax é wax.",
        "A comb",
        "https://example.org/1",
    ):
        assert expected in text
    assert "<" not in text
    assert "&" not in text.replace("Bees & Co", "").replace("Café & hive", "")


def test_an_atom_feed_has_its_titles_too() -> None:
    document, [piece] = read_text("a.atom", ATOM)
    assert document.title == "A & B"
    assert piece.text.split("\n\n") == ["A & B", "First", "Some words."]
    assert piece.title_path == "A & B > First"


def test_the_declared_encoding_is_used(tmp_path: Path) -> None:
    page = '<?xml version="1.0" encoding="windows-1251"?><feed><title>Привет</title></feed>'
    document, _ = read_bytes(tmp_path, "a.xml", page.encode("cp1251"))
    assert document.title == "Привет"


def test_a_manual_keeps_sentences_and_sections() -> None:
    book = """<book><bookinfo><title>Guide</title></bookinfo><chapter><title>Start</title>
    <para>Type <command>make</command>
      and <emphasis>wait</emphasis>.</para><screen>a
  b</screen><section><title>More</title><para>Nested.</para></section></chapter></book>"""
    document, [piece] = read_text("guide.xml", book)
    assert document.title == "Guide"
    assert piece.text.split("\n\n") == ["Guide", "Start", "Type make and wait.", "a\n  b", "More", "Nested."]


def test_data_stands_behind_its_names() -> None:
    pom = (
        '<project><artifactId>bees</artifactId>\n<dependency scope="test"><version>1.2</version></dependency></project>'
    )
    _, [piece] = read_text("pom.xml", pom)
    assert piece.text == "artifactId: bees\ndependency scope=test\nversion: 1.2"


def test_a_drawing_gives_its_words() -> None:
    words = '<title>Map</title><path d="M1 2"/><text x="1">North <tspan>Sea</tspan></text>'
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg">{words}</svg>'
    _, [piece] = read_text("a.svg", drawing)
    assert piece.text == "Map\n\nNorth Sea"
    with pytest.raises(Unreadable, match="has no text, only numbers or drawings"):
        read_text("b.svg", '<svg xmlns="http://www.w3.org/2000/svg"><path d="M1 2"/></svg>')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<a>AT&T & Co</a>", "a: AT&T & Co"),
        ("<a>x &nosuch; y</a>", "a: x y"),
        ("<a><b>open", "b: open"),
        ("<a>one</b><c>two</c>", "one"),
        ("no element at all", "no element at all"),
        ("<?xml version='1.0'?><a>text</a>", "a: text"),
    ],
)
def test_broken_xml_is_read_as_far_as_it_goes(text: str, shown: str) -> None:
    _, pieces = read_text("a.xml", text)
    assert shown in pieces[0].text


def test_entities_open_no_file_and_do_not_grow(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    outside = f'<!DOCTYPE a [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]><a>Seen. &s;</a>'
    assert "secret" not in read_text("a.xml", outside)[1][0].text
    inner = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    _, [piece] = read_text("a.xml", f'<!DOCTYPE a [<!ENTITY a0 "boom">{inner}]><a>Seen. &a9;</a>')
    assert len(piece.text) < 200
    with pytest.raises(Unreadable, match="out of all proportion"):
        read_text("a.xml", f'<!DOCTYPE a [<!ENTITY b "{"boom " * 190}">]><a>{"&b;" * 100_000}</a>')


@pytest.mark.parametrize("tag", ["para", "title", "thing", "emphasis", "metadata"])
def test_nesting_of_any_depth_ends(tag: str) -> None:
    text = f"<a>{f'<{tag}>' * 50_000}inside{f'</{tag}>' * 50_000}<z>after</z></a>"
    _, pieces = read_text("a.xml", text)
    assert "after" in pieces[-1].text


def test_many_elements_without_words_are_gone_through_once() -> None:
    # Looking at all texts so far with each of them would take the rest of the day.
    _, pieces = read_text("a.xml", f"<a>{'<b/> ' * 300_000}The bees dance.</a>")
    assert [piece.text for piece in pieces] == ["a: The bees dance."]


def test_signs_in_attributes_are_what_they_stand_for() -> None:
    _, [piece] = read_text(
        "a.opml", '<opml><body><outline text="Feeds &amp; co &lt;3" note="&quot;x&quot;"/></body></opml>'
    )
    assert piece.text == 'outline text=Feeds & co <3 note="x"'


def test_documents_of_an_older_word_are_sentences() -> None:
    body = "<w:p><w:r><w:t>Hello</w:t></w:r><w:r><w:t> world</w:t></w:r></w:p><w:p><w:r><w:t>Two</w:t></w:r></w:p>"
    _, [piece] = read_text(
        "a.xml", f'<?xml version="1.0"?><w:wordDocument xmlns:w="w"><w:body>{body}</w:body></w:wordDocument>'
    )
    assert piece.text == "Hello world\n\nTwo"
