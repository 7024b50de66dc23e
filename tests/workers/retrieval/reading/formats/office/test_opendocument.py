from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.formats.office.offices import flat, margins, opendocument
from tests.workers.retrieval.reading.reads import read_bytes


def cells(*texts: str) -> str:
    made = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in texts)
    return f"<table:table-row>{made}</table:table-row>"


TEXT = f"""<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>
<text:h text:outline-level="1">Bees</text:h><text:p>They<text:s text:c="2"/>dance<text:note>
<text:note-citation>1</text:note-citation>
<text:note-body><text:p>A note.</text:p></text:note-body></text:note>.<office:annotation>
<dc:creator>Me</dc:creator><text:p>A remark</text:p></office:annotation></text:p>
<text:list><text:list-item><text:p>One</text:p></text:list-item></text:list>
<table:table table:name="T1">{cells("Town", "Hours")}{cells("Basel", "5")}</table:table>
<text:h text:outline-level="2">More</text:h><text:p>The<text:line-break/>end.</text:p></office:text>"""


def test_a_text_has_headings_lists_tables_notes_and_comments(tmp_path: Path) -> None:
    data = opendocument(TEXT, title="Hive", **{"styles.xml": margins("A margin.")})
    document, pieces = read_bytes(tmp_path, "a.odt", data)
    assert (document.format, document.title, document.extracted) == ("odt", "Hive", True)
    assert "\n\n".join(piece.text for piece in pieces).split("\n\n") == [
        "Bees", "A note.", "A remark", "They  dance.", "- One", "Town | Hours\nBasel | 5", "More",
        "The\nend.", "A margin.",
    ]  # fmt: skip
    assert pieces[0].title_path == "Hive > Bees"


def test_a_flat_one_is_read_too(tmp_path: Path) -> None:
    document, [piece] = read_bytes(tmp_path, "a.fodt", flat(TEXT))
    assert (document.format, document.title) == ("odt", "Bees")
    assert "- One" in piece.text


def test_sheets_stand_below_their_names_and_repeated_cells_have_a_bound(tmp_path: Path) -> None:
    empty = '<table:table-row table:number-rows-repeated="1048575"><table:table-cell/></table:table-row>'
    many = '<table:table-cell table:number-columns-repeated="99999999999"><text:p>x</text:p></table:table-cell>'
    wide = f"<table:table-row>{many}</table:table-row>"
    rows = "".join(cells(f"Town number {n}", str(n)) for n in range(200))
    sheets = "".join(
        f'<table:table table:name="{name}">{inner}</table:table>'
        for name, inner in (("Hours", cells("Town", "Hours") + rows + empty), ("Wide", wide))
    )
    document, pieces = read_bytes(
        tmp_path, "a.ods", opendocument(f"<office:spreadsheet>{sheets}</office:spreadsheet>", "spreadsheet")
    )
    assert document.format == "ods"
    assert {piece.title_path for piece in pieces[:-1]} == {"Hours > Town, Hours"}
    assert pieces[-1].text.endswith(" | ".join("x" * 64))


def test_slides_stand_below_their_names_and_titles(tmp_path: Path) -> None:
    def box(text: str, kind: str) -> str:
        inside = f"<draw:text-box><text:p>{text}</text:p></draw:text-box>"
        return f'<draw:frame presentation:class="{kind}">{inside}</draw:frame>'

    page = f'<draw:page draw:name="First">{box("Bees", "title")}{box("They dance.", "outline")}</draw:page>'
    data = opendocument(f"<office:presentation>{page}</office:presentation>", "presentation")
    document, [piece] = read_bytes(tmp_path, "a.odp", data)
    assert (document.format, piece.title_path, piece.text) == ("odp", "First > Bees", "Bees\n\nThey dance.")


def test_an_encrypted_one_is_refused(tmp_path: Path) -> None:
    manifest = {"META-INF/manifest.xml": "<m><file-entry><encryption-data/></file-entry></m>"}
    with pytest.raises(Unreadable, match="is encrypted: it needs a password"):
        read_bytes(tmp_path, "a.odt", opendocument("", **manifest))


@pytest.mark.parametrize("tag", ["text:p", "table:table", "text:list-item", "office:annotation", "draw:frame"])
def test_nesting_of_any_depth_ends(tmp_path: Path, tag: str) -> None:
    deep = f"{f'<{tag}>' * 20_000}<text:p>in</text:p>{f'</{tag}>' * 20_000}"
    body = f"<office:text>{deep}<text:p>After.</text:p></office:text>"
    _, pieces = read_bytes(tmp_path, "a.odt", opendocument(body))
    assert pieces[-1].text.endswith("After.")


@pytest.mark.parametrize("count", ["9" * 5000, "-1", "x", ""])
def test_a_count_that_is_none_or_beyond_all_bounds_costs_no_text(tmp_path: Path, count: str) -> None:
    row = f'<table:table-cell table:number-columns-repeated="{count}"><text:p>5</text:p></table:table-cell>'
    body = (
        f'<office:text><text:p>They<text:s text:c="{count}"/>dance.</text:p>'
        f"<table:table><table:table-row>{row}</table:table-row></table:table></office:text>"
    )
    _, pieces = read_bytes(tmp_path, "a.odt", opendocument(body))
    text = "\n\n".join(piece.text for piece in pieces)
    assert text.startswith("They ")
    assert "dance." in text
    assert text.endswith("5")


def test_a_cell_has_all_its_paragraphs_and_the_table_within_it(tmp_path: Path) -> None:
    inner = f"<table:table>{cells('Basel', '5')}</table:table>"
    row = f"<table:table-row><table:table-cell><text:p>One</text:p><text:p>Two</text:p>{inner}</table:table-cell>"
    body = f"<office:text><table:table>{row}</table:table-row>{cells('Three')}</table:table></office:text>"
    _, [piece] = read_bytes(tmp_path, "a.odt", opendocument(body))
    assert piece.text == "One Two Basel | 5\nThree"


def test_what_a_picture_shows_is_apart_from_the_words_around(tmp_path: Path) -> None:
    picture = "<draw:frame><draw:image/><svg:title>Barn</svg:title><svg:desc>A red barn</svg:desc></draw:frame>"
    body = f"<office:text xmlns:svg='svg'><text:p>Hello{picture}world</text:p></office:text>"
    _, [piece] = read_bytes(tmp_path, "a.odt", opendocument(body))
    assert piece.text.split() == ["Hello", "Barn", "A", "red", "barn", "world"]


def test_charts_and_cells_without_a_text_have_words(tmp_path: Path) -> None:
    chart = opendocument("<office:chart><chart:c xmlns:chart='c'><text:p>Honey sold</text:p></chart:c></office:chart>")
    inner = archives.unzipped(chart)["content.xml"]
    cell = "<table:table-cell office:value-type='string' office:string-value='only stored'/>"
    row = f"<table:table-row>{cell}<table:table-cell office:value='0.5'/></table:table-row>"
    body = f"<office:spreadsheet><table:table table:name='S'>{row}</table:table></office:spreadsheet>"
    data = opendocument(body, "spreadsheet", **{"Object 1/content.xml": inner})
    _, pieces = read_bytes(tmp_path, "a.ods", data)
    assert [piece.text for piece in pieces] == ["S\n\nonly stored | 0.5", "Honey sold"]
