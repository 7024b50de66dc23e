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
