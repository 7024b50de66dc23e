"""Documents of Office programs, as writers of them make them."""

from __future__ import annotations

import datetime
import io
from typing import Any, Final

import openpyxl
from openpyxl.comments import Comment
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from tests.workers.retrieval.reading import archives

_SPACES: Final = " ".join(
    f'xmlns:{name}="urn:{name}"' for name in ("office", "text", "table", "draw", "presentation", "dc", "style")
)


def workbook() -> bytes:
    """A workbook of three sheets."""
    book = openpyxl.Workbook()
    hours = book.active
    hours.title = "Hours"
    for row in (
        ["Town", "Opened", "Bees", "Open"],
        ["Basel", datetime.date(2024, 3, 1), 17, True],
        ["Bern", datetime.datetime(2024, 3, 2, 10, 30), 2.5, False],
        ["Chur", datetime.time(9, 5), None, "=C2*2"],
    ):
        hours.append(row)
    hours["A6"] = "after a gap"
    hours["A2"].comment = Comment("A remark", "Anna")
    book.create_sheet("Empty")
    people = book.create_sheet("People")
    people.append(["Name", "Number"])
    for number in range(200):
        people.append([f"Person {number}", number])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def presentation() -> bytes:
    """A presentation of two slides."""
    made = Presentation()
    made.core_properties.title = "Hive"
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "Bees"
    first.placeholders[1].text = "They dance\nThey sing"
    first.notes_slide.notes_text_frame.text = "Say it slowly."
    second = made.slides.add_slide(made.slide_layouts[5])
    second.shapes.title.text = "Honey"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(3), Inches(1)).table
    for number, value in enumerate(("Town", "Hours", "Basel", "5")):
        table.cell(number // 2, number % 2).text = value
    chart: Any = CategoryChartData()  # type: ignore[no-untyped-call]  # the library has no types here
    chart.categories = ["East", "West"]
    chart.add_series("Jars", (1, 2))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), chart)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def opendocument(body: str, kind: str = "text", *, title: str = "", **others: str | bytes) -> bytes:
    """An OpenDocument file with this XML as its body."""
    content = f"<office:document-content {_SPACES}><office:body>{body}</office:body></office:document-content>"
    files: dict[str, str | bytes] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": content,
        "meta.xml": f"<office:m {_SPACES}><office:meta><dc:title>{title}</dc:title></office:meta></office:m>",
    }
    return archives.zipped(files | others)


def flat(body: str) -> bytes:
    """The same in one file of XML."""
    return f"<office:document {_SPACES}><office:body>{body}</office:body></office:document>".encode()


def margins(text: str) -> str:
    """The part with the styles, in which the margins of pages are."""
    page = f"<style:master-page><style:header><text:p>{text}</text:p></style:header></style:master-page>"
    return f"<office:s {_SPACES}><office:master-styles>{page}</office:master-styles></office:s>"
