from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.archives import paragraph
from tests.workers.retrieval.reading.formats.words_own import words_own
from tests.workers.retrieval.reading.reads import read_bytes


def test_a_document_has_headings_lists_and_tables(tmp_path: Path) -> None:
    document, pieces = read_bytes(tmp_path, "handbook.docx", words_own())
    assert (document.format, document.title, document.extracted) == ("docx", "Handbook", True)
    text = "\n".join(piece.text for piece in pieces)
    for expected in ("Trips are booked", "- First class", "City | Hours\nBasel | 5"):
        assert expected in text
    assert pieces[-1].title_path == "Handbook > Food"
    assert pieces[0].title_path == "Handbook > Travel"


def test_lines_and_bytes_are_those_of_the_extracted_text(tmp_path: Path) -> None:
    _, pieces = read_bytes(tmp_path, "handbook.docx", words_own())
    assert pieces[0].first_line == 1
    assert pieces[0].first_byte == 0
    assert all(len(piece.text.encode()) == piece.last_byte - piece.first_byte for piece in pieces)


def test_headings_are_found_by_their_styles_names_in_any_language(tmp_path: Path) -> None:
    styles = archives.styles(berschrift1="heading 1", Titel="Title", Standard="Normal")
    body = paragraph("Reisen", "berschrift1") + paragraph("Züge fahren oft.", "Standard")
    data = archives.docx(body, **{"word/styles.xml": styles})
    document, [piece] = read_bytes(tmp_path, "a.docx", data)
    assert (document.title, piece.title_path) == ("Reisen", "Reisen")
    assert piece.text == "Reisen\n\nZüge fahren oft."


def test_text_of_boxes_and_notes_is_read_and_deleted_text_is_not(tmp_path: Path) -> None:
    box = (
        "<w:p><w:r><w:t>Before </w:t></w:r><w:r><mc:AlternateContent xmlns:mc='urn:mc'><mc:Choice><w:txbxContent>"
        f"{paragraph('in a box')}</w:txbxContent></mc:Choice><mc:Fallback>{paragraph('in a box')}</mc:Fallback>"
        "</mc:AlternateContent></w:r><w:r><w:t>after</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    )
    notes = f"<w:footnotes xmlns:w='{archives.WORD}'>{paragraph('A note.')}</w:footnotes>"
    _, pieces = read_bytes(tmp_path, "a.docx", archives.docx(box, **{"word/footnotes.xml": notes}))
    assert [piece.text for piece in pieces] == ["Before\n\nin a box\n\nafter", "A note."]


def refusal(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(Unreadable) as refused:
        read_bytes(tmp_path, "a.docx", data)
    return str(refused.value)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    assert "out of all proportion" in refusal(tmp_path, archives.docx("<w:p/>" * 5_000_000))


def test_a_bomb_of_entities_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    xml = f'<!DOCTYPE d [<!ENTITY a0 "boom">{entities}]><w:document xmlns:w="w"><w:t>&a9;</w:t></w:document>'
    assert "declares entities" in refusal(tmp_path, archives.docx("", **{"word/document.xml": xml}))
    assert "declares entities" in refusal(tmp_path, archives.docx("", **{"word/document.xml": xml.encode("utf-16")}))


def test_a_file_named_by_an_entity_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    xml = f'<!DOCTYPE d [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]><d>&s;</d>'
    assert "declares entities" in refusal(tmp_path, archives.docx("", **{"word/document.xml": xml}))


def test_broken_xml_is_refused(tmp_path: Path) -> None:
    assert "broken XML" in refusal(tmp_path, archives.docx("<w:p>"))


def test_deeply_nested_xml_is_read(tmp_path: Path) -> None:
    body = "<w:p>" * 50_000 + "<w:r><w:t>Found.</w:t></w:r>" + "</w:p>" * 50_000
    _, [piece] = read_bytes(tmp_path, "a.docx", archives.docx(body))
    assert piece.text == "Found."


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    data = words_own()
    assert "ZIP archive" in refusal(tmp_path, data[: len(data) // 2])


def test_an_old_or_encrypted_document_is_named(tmp_path: Path) -> None:
    assert "from before 2007, or encrypted" in refusal(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))


def test_the_main_part_is_found_by_its_relationship(tmp_path: Path) -> None:
    types = (
        '<Types><Override PartName="/text/body.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    data = archives.zipped(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": archives.relationships(officeDocument="/text/body.xml"),
            "text/body.xml": f'<d xmlns:w="{archives.WORD}">{paragraph("Found", "h")}{paragraph("Here.")}</d>',
            "text/_rels/body.xml.rels": archives.relationships(styles="../looks.xml"),
            "looks.xml": archives.styles(h="heading 1"),
        }
    )
    document, [piece] = read_bytes(tmp_path, "a.docx", data)
    assert (document.format, piece.title_path, piece.text) == ("docx", "Found", "Found\n\nHere.")


def test_moved_text_is_read_once(tmp_path: Path) -> None:
    run = "<w:r><w:t>Moved.</w:t></w:r>"
    body = f"<w:p><w:moveFrom>{run}</w:moveFrom></w:p>{paragraph('Stays.')}<w:p><w:moveTo>{run}</w:moveTo></w:p>"
    _, [piece] = read_bytes(tmp_path, "a.docx", archives.docx(body))
    assert piece.text == "Stays.\n\nMoved."


CHART = """<c:chartSpace xmlns:c="c" xmlns:a="a"><c:title><a:p><a:r><a:t>Honey a year</a:t></a:r></a:p></c:title>
<c:cat><c:strCache><c:pt><c:v>Basel</c:v></c:pt><c:pt><c:v>Bern</c:v></c:pt></c:strCache></c:cat>
<c:val><c:numCache><c:pt><c:v>17</c:v></c:pt></c:numCache></c:val></c:chartSpace>"""


def test_margins_comments_charts_and_parts_in_other_formats_are_read(tmp_path: Path) -> None:
    def part(text: str) -> str:
        return f'<w:x xmlns:w="{archives.WORD}">{paragraph(text)}</w:x>'

    data = archives.docx(
        paragraph("The text."),
        **{
            "word/_rels/document.xml.rels": archives.relationships(
                header1="header1.xml", header2="header2.xml", footer1="footer1.xml", comments="comments.xml",
                chart="charts/chart1.xml", diagramData="diagrams/data1.xml", aFChunk1="in.html", aFChunk2="in.docx",
                aFChunk3="in.rtf", aFChunk4="in.txt",
            ),
            "word/header1.xml": part("A header."), "word/header2.xml": part("A header."),
            "word/footer1.xml": part("A footer."), "word/comments.xml": part("A comment."),
            "word/charts/chart1.xml": CHART,
            "word/diagrams/data1.xml": "<d xmlns:a='a'><a:p><a:r><a:t>A box</a:t></a:r></a:p></d>",
            "word/in.html": "<html><body><p>A page.</p></body></html>",
            "word/in.docx": archives.docx(paragraph("A document.")), "word/in.txt": "A text.",
            "word/in.rtf": "\x00\x01",
        },
    )  # fmt: skip
    document, pieces = read_bytes(tmp_path, "a.docx", data)
    assert [piece.text for piece in pieces] == [
        "The text.", "A comment.", "A header.", "A footer.", "Honey a year\nBasel\nBern", "A box", "A page.",
        "A document.", "A text.",
    ]  # fmt: skip
    assert document.parser_notes.notes == ["a part in another format was not read (in.rtf)"]


def test_documents_inside_of_documents_end(tmp_path: Path) -> None:
    data = archives.docx(paragraph("Innermost."))
    for _ in range(6):
        inside = {"word/_rels/document.xml.rels": archives.relationships(aFChunk="in.docx"), "word/in.docx": data}
        data = archives.docx(paragraph("Outer."), **inside)
    document, pieces = read_bytes(tmp_path, "a.docx", data)
    assert [piece.text for piece in pieces] == ["Outer."] * 3
    assert document.parser_notes.notes == ["a part in another format was not read (in.docx)"]


def test_a_broken_comment_does_not_cost_the_document(tmp_path: Path) -> None:
    rels = {"word/_rels/document.xml.rels": archives.relationships(comments="c.xml"), "word/c.xml": "<w:c"}
    document, [piece] = read_bytes(tmp_path, "a.docx", archives.docx(paragraph("The text."), **rels))
    assert piece.text == "The text."
    assert "a part was not read: c.xml has broken XML" in document.parser_notes.notes[0]


def test_the_first_row_stands_over_each_chunk_of_a_table(tmp_path: Path) -> None:
    cells = [["Town", "Hours"], *([f"Town number {n}", str(n)] for n in range(200))]
    rows = "".join(f"<w:tr>{''.join(f'<w:tc>{paragraph(cell)}</w:tc>' for cell in row)}</w:tr>" for row in cells)
    _, pieces = read_bytes(tmp_path, "a.docx", archives.docx(f"<w:tbl>{rows}</w:tbl>{paragraph('After.')}"))
    assert len(pieces) > 4
    assert {piece.title_path for piece in pieces[:-1]} == {"Town, Hours"}
    assert pieces[-1].text.endswith("After.")


def test_soft_hyphens_are_out(tmp_path: Path) -> None:
    _, [piece] = read_bytes(tmp_path, "a.docx", archives.docx(paragraph("Donau\u00addampf\u00adschiff")))
    assert piece.text == "Donaudampfschiff"


def run(inner: str) -> str:
    return f"<w:p><w:r>{inner}</w:r></w:p>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (run('<w:t>angle </w:t><w:sym w:font="Symbol" w:char="F061"/><w:t> end</w:t>'), "angle α end"),
        (run('<w:t>a</w:t><w:sym w:font="Wingdings" w:char="F061"/><w:sym w:font="Symbol"/><w:t>b</w:t>'), "a b"),
        (run("<w:t>left</w:t><w:ptab/><w:t>right</w:t>"), "left\tright"),
        (run('<w:drawing><docPr id="1" name="Picture 1" descr="A red barn"/></w:drawing>'), "A red barn"),
        (
            "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>" + paragraph("Click here to enter text.")
            + "</w:sdtContent></w:sdt>" + paragraph("x") + "<w:sdt><w:sdtPr/><w:sdtContent>" + paragraph("y")
            + "</w:sdtContent></w:sdt>",
            "x\n\ny",
        ),
        (run("<f><num><t>12</t></num><den><t>34</t></den></f>"), "12/34"),
        (run("<sSup><e><t>x</t></e><sup><t>2</t></sup></sSup>"), "x^2"),
    ],
)  # fmt: skip
def test_signs_pictures_and_formulas_have_words(tmp_path: Path, body: str, text: str) -> None:
    _, [piece] = read_bytes(tmp_path, "a.docx", archives.docx(body.replace("<t>", "<w:t>").replace("</t>", "</w:t>")))
    assert piece.text == text


@pytest.mark.parametrize("mine_first", [True, False])
def test_a_style_is_what_it_is_based_on(tmp_path: Path, mine_first: bool) -> None:
    first = '<w:style w:styleId="Mine"><w:name w:val="My one"/><w:basedOn w:val="H1"/></w:style>'
    flat = '<w:style w:styleId="Flat"><w:name w:val="F"/><w:basedOn w:val="Mine"/><w:outlineLvl w:val="9"/></w:style>'
    loop = (
        '<w:style w:styleId="A"><w:basedOn w:val="B"/></w:style><w:style w:styleId="B"><w:basedOn w:val="A"/></w:style>'
    )
    base = '<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    styles = (
        f'<w:styles xmlns:w="{archives.WORD}">{first + base if mine_first else base + first}{flat}{loop}</w:styles>'
    )
    body = paragraph("Chapter", "Mine") + paragraph("no heading", "Flat") + paragraph("text", "A")
    _, [piece] = read_bytes(tmp_path, "a.docx", archives.docx(body, **{"word/styles.xml": styles}))
    assert (piece.title_path, piece.text) == ("Chapter", "Chapter\n\nno heading\n\ntext")


def test_names_inside_may_have_slashes_of_either_kind(tmp_path: Path) -> None:
    styles = archives.styles(Mine="heading 1")
    kind = 'PartName="/word/document.xml" ContentType="a/wordprocessingml"'
    files = {
        "[Content_Types].xml": f"<Types><Override {kind}/></Types>",
        "_rels\\.rels": archives.relationships(officeDocument="word/document.xml"),
        "word\\document.xml": f'<w:d xmlns:w="{archives.WORD}">{paragraph("Bees", "Mine")}{paragraph("Text.")}</w:d>',
        "word\\_rels\\document.xml.rels": archives.relationships(styles="styles.xml"),
        "word\\styles.xml": styles,
    }
    document, [piece] = read_bytes(tmp_path, "a.docx", archives.zipped(files))
    assert (document.format, piece.title_path, piece.text) == ("docx", "Bees", "Bees\n\nText.")


def test_documents_inside_are_told(tmp_path: Path) -> None:
    links = archives.relationships(oleObject1="embeddings/a.bin", package2="embeddings/b.xlsx", image3="media/c.png")
    inside = {f"word/{name}": b"x" for name in ("embeddings/a.bin", "embeddings/b.xlsx", "media/c.png")}
    data = archives.docx(paragraph("Text."), **{"word/_rels/document.xml.rels": links}, **inside)
    document, _ = read_bytes(tmp_path, "a.docx", data)
    assert document.note == "2 documents inside are not read (a.bin, b.xlsx)"
