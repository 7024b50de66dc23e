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
    assert document.parser_notes.notes == ["1 of the book's files are missing"]


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


def test_parts_are_found_whatever_case_their_names_have(tmp_path: Path) -> None:
    files = {"META-INF/container.xml": '<c><rootfile full-path="ops/BOOK.opf"/></c>'}
    package = (
        '<package><metadata><title>T</title></metadata><manifest><item id="a" href="text/one.xhtml" '
        'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
    )
    files |= {"OPS/book.opf": package, "OPS/Text/One.XHTML": PAGE.format("<p>There.</p>")}
    document, [piece] = read_bytes(tmp_path, "book.epub", archives.zipped(files))
    assert (document.title, piece.text) == ("T", "There.")


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-16", "koi8-r"])
def test_parts_are_in_the_encoding_that_they_declare(tmp_path: Path, encoding: str) -> None:
    page = PAGE.replace("?>", f' encoding="{encoding}"?>').format("<p>Привет, мир</p>").encode(encoding)
    _, [piece] = read_bytes(tmp_path, "book.epub", archives.epub({"a.xhtml": page}))
    assert piece.text == "Привет, мир"


def test_an_old_package_names_its_type_and_may_be_in_utf16(tmp_path: Path) -> None:
    package = (
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE package PUBLIC "+//ISBN 0//DTD OEB 1.2//EN" "oeb.dtd">'
        '<package><metadata><title>Alt</title></metadata><manifest><item id="a" href="a.xhtml" '
        'media-type="text/x-oeb1-document"/></manifest><spine><itemref idref="a"/></spine></package>'
    )
    data = archives.epub({"a.xhtml": PAGE.format("<p>There.</p>")}, **{"OPS/book.opf": package.encode("utf-16")})
    document, [piece] = read_bytes(tmp_path, "book.epub", data)
    assert (document.title, piece.text) == ("Alt", "There.")


def test_drawings_and_digital_talking_books_are_chapters_too(tmp_path: Path) -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><text>On the cover</text></svg>'
    data = archives.epub({"a.svg": drawing, "b.xml": "<dtbook><book><p>It begins.</p></book></dtbook>"})
    kinds = {"a.svg": "image/svg+xml", "b.xml": "application/x-dtbook+xml"}
    files = archives.unzipped(data)
    for name, kind in kinds.items():
        item = f'href="{name}" media-type="application/xhtml+xml"'.encode()
        files["OPS/book.opf"] = files["OPS/book.opf"].replace(item, f'href="{name}" media-type="{kind}"'.encode())
    _, pieces = read_bytes(tmp_path, "a.epub", archives.zipped(files))
    assert [piece.text for piece in pieces] == ["On the cover", "It begins."]
