from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.reads import read_bytes

PAGE = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{}</body></html>'


def test_chapters_are_read_in_the_order_of_the_spine(tmp_path: Path) -> None:
    chapters = {
        "z.xhtml": PAGE.format("<h1>One</h1><p>It begins&nbsp;here &amp; now.</p>"),
        "text/a%20b.xhtml": PAGE.format(
            "<h1>Two</h1><p>" + "It ends. " * 20 + "</p><h2>After</h2><p>" + "Words. " * 200 + "</p>"
        ),
    }
    data = archives.epub(chapters, **{"OPS/text/a b.xhtml": chapters["text/a%20b.xhtml"]})
    document, pieces = read_bytes(tmp_path, "book.epub", data)
    assert (document.format, document.title) == ("epub", "The Book")
    assert pieces[0].text == "One\n\nIt begins here & now."
    assert [piece.title_path for piece in pieces[:2]] == ["The Book > One", "The Book > Two"]
    assert pieces[-1].title_path == "The Book > Two > After"
    assert pieces[1].first_line == 5


def test_a_missing_chapter_is_noted(tmp_path: Path) -> None:
    data = archives.epub({"a.xhtml": PAGE.format("<p>There.</p>"), "b%2Fc.xhtml": ""})
    document, [piece] = read_bytes(tmp_path, "book.epub", data)
    assert piece.text == "There."
    assert document.findings.notes == ["1 of the book's files are missing"]


def test_a_protected_book_is_refused(tmp_path: Path) -> None:
    encryption = "<encryption><CipherReference URI='OPS/a.xhtml'/></encryption>"
    data = archives.epub({"a.xhtml": b"\x01\x02\x03"}, **{"META-INF/encryption.xml": encryption})
    with pytest.raises(Unreadable, match=r"is encrypted \(copy protection\)"):
        read_bytes(tmp_path, "book.epub", data)


def test_a_book_without_its_package_is_refused(tmp_path: Path) -> None:
    data = archives.zipped({"META-INF/container.xml": "<container/>"})
    with pytest.raises(Unreadable, match="does not say where the book is"):
        read_bytes(tmp_path, "book.epub", data)


def test_names_lead_nowhere_outside_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "secret.xhtml").write_text(PAGE.format("secret"))
    with pytest.raises(Unreadable, match="has no text"):
        read_bytes(tmp_path, "book.epub", archives.epub({"../../secret.xhtml": ""}))
