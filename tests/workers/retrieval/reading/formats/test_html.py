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
