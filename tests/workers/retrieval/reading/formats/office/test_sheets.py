from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.formats.office.offices import workbook
from tests.workers.retrieval.reading.reads import read_bytes


def test_each_sheet_stands_below_its_name_with_dates_as_they_are_shown(tmp_path: Path) -> None:
    document, pieces = read_bytes(tmp_path, "a.xlsx", workbook())
    assert (document.format, document.extracted) == ("xlsx", True)
    assert pieces[0].title_path == "Hours"
    assert pieces[0].text.split("\n") == [
        "Hours", "", "Town | Opened | Bees | Open", "Basel | 2024-03-01 | 17 | TRUE",
        "Bern | 2024-03-02 10:30:00 | 2.5 | FALSE", "Chur | 09:05:00", "after a gap", "", "A remark",
    ]  # fmt: skip


def test_the_first_row_stands_over_each_chunk_of_a_sheet(tmp_path: Path) -> None:
    _, pieces = read_bytes(tmp_path, "a.xlsx", workbook())
    assert len(pieces) > 4
    assert {piece.title_path for piece in pieces[1:]} == {"People > Name, Number"}
    assert pieces[-1].text.endswith("Person 199 | 199")


def book(rows: str, strings: str = "") -> bytes:
    """A workbook with this XML as its only sheet."""
    return archives.zipped(
        {
            "_rels/.rels": archives.relationships(officeDocument="xl/workbook.xml"),
            "xl/workbook.xml": "<workbook xmlns:r='r'><sheets><sheet name='One' r:id='worksheet'/></sheets></workbook>",
            "xl/_rels/workbook.xml.rels": archives.relationships(worksheet="s.xml", sharedStrings="t.xml"),
            "xl/s.xml": f"<worksheet><sheetData>{rows}</sheetData></worksheet>", "xl/t.xml": f"<sst>{strings}</sst>",
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ("<row><c t='s'><v>0</v></c><c t='s'><v>9</v></c><c t='s'><v>x</v></c></row>", "Shared text"),
        ("<row><c t='inlineStr'><is><t>in</t><t>line</t></is></c></row>", "inline"),
        ("<row><c r='A1'><v>1</v></c><c r='D1'><v>2</v></c></row>", "1 |  |  | 2"),
        ("<row><c r='A1'><v>1</v></c><c r='XFD1'><v>2</v></c></row>", "1" + " | " * 65 + "2"),
        ("<row><c><f>A1*2</f><v>7</v></c><c t='str'><v>a  b</v></c><c t='e'><v>#N/A</v></c></row>", "7 | a b | #N/A"),
        (
            "<row><c><f>SUM(A1:A2)</f></c><c><f>A1 &amp; \n'x'</f></c><c><v>3</v></c></row>",
            "=SUM(A1:A2) | =A1 & 'x' | 3",
        ),
        ("<row><c t='str'><f>\"\"</f><v></v></c><c><f t='shared' si='0'/></c><c><v>3</v></c></row>", " |  | 3"),
        ("<row><c t='str'><v>one_x000D_\ntwo_x0041__x00e9_ snake_x_</v></c></row>", "one twoAé snake_x_"),
        ("<row><c s='99'><v>5</v></c><c s='x'><v>1e999</v></c></row>", "5 | 1e999"),
    ],
)
def test_cells_of_every_kind_are_read(tmp_path: Path, rows: str, shown: str) -> None:
    strings = "<si><r><t>Shared</t></r><r><t> text</t></r><rPh><t>aloud</t></rPh></si>"
    _, [piece] = read_bytes(tmp_path, "a.xlsx", book(rows, strings))
    assert piece.text.split("\n\n", 1)[1] == shown


def test_an_empty_workbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="has no text: its sheets are empty"):
        read_bytes(tmp_path, "a.xlsx", book("<row><c/></row>"))


def test_a_broken_sheet_is_noted(tmp_path: Path) -> None:
    data = book("<row>")
    with pytest.raises(Unreadable, match="its sheets are empty"):
        read_bytes(tmp_path, "a.xlsx", data)


FORMATS = {
    "": 0, "14": 14, "9": 9, "10": 10, "46": 46, "[h]:mm:ss": 164, "0.0%": 165, "mmmm": 166,
    '#,##0.00\\ "d %"': 167, "[$-407]d/\\ mmm\\ yyyy;@": 168, "[Red]0.00": 169, "mm:ss": 170,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        ("0.25", "9", "25%"), ("0.256", "10", "25.6%"), ("0.07", "9", "7%"), ("1e999", "9", "1e999"),
        ("nan", "9", "nan"), ("1.255", "0.0%", "125.5%"),
        ("1.5", "[h]:mm:ss", "36:00:00"), ("1.5", "46", "36:00:00"), ("0.5", "mm:ss", "12:00:00"),
        ("45000", "mmmm", "2023-03-15"), ("45000", "[$-407]d/\\ mmm\\ yyyy;@", "2023-03-15"),
        ("1234.5", '#,##0.00\\ "d %"', "1234.5"), ("1.5", "[Red]0.00", "1.5"),
        ("0.30000000000000004", "", "0.3"), ("1234567.8900000001", "", "1234567.89"), ("1.25E+20", "", "1.25E+20"),
        ("12345678901234567", "", "12345678901234567"), ("1", "14", "1900-01-01"), ("61", "14", "1900-03-01"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_shown(tmp_path: Path, value: str, code: str, shown: str) -> None:
    own = "".join(
        f'<numFmt numFmtId="{number}" formatCode="{name.replace(chr(34), "&quot;")}"/>'
        for name, number in FORMATS.items() if number > 100
    )  # fmt: skip
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in FORMATS.values())
    files = archives.unzipped(
        book(f"<row><c t='str'><v>x</v></c><c s='{[*FORMATS].index(code)}'><v>{value}</v></c></row>")
    )
    files["xl/_rels/workbook.xml.rels"] = archives.relationships(worksheet="s.xml", styles="f.xml").encode()
    files["xl/f.xml"] = f"<f><numFmts>{own}</numFmts><cellXfs>{styles}</cellXfs></f>".encode()
    _, [piece] = read_bytes(tmp_path, "a.xlsx", archives.zipped(files))
    assert piece.text == f"One\n\nx | {shown}"


def test_a_sheet_of_comments_boxes_and_charts_has_their_words(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = dict(archives.unzipped(book("<row/>")))
    files |= {
        "xl/_rels/s.xml.rels": archives.relationships(comments="c.xml", drawing="d.xml"),
        "xl/c.xml": "<c><comment><text><t>A remark</t></text></comment></c>",
        "xl/d.xml": "<d xmlns:a='a'><a:p><a:r><a:t>In a box</a:t></a:r></a:p></d>",
        "xl/_rels/d.xml.rels": archives.relationships(chart="h.xml"),
        "xl/h.xml": "<d xmlns:a='a'><a:p><a:r><a:t>Honey sold</a:t></a:r></a:p></d>",
    }
    _, [piece] = read_bytes(tmp_path, "a.xlsx", archives.zipped(files))
    assert piece.text.split("\n\n") == ["One", "A remark", "In a box", "Honey sold"]
