from __future__ import annotations

from pathlib import Path

from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.formats.office.offices import presentation
from tests.workers.retrieval.reading.reads import read_bytes


def test_each_slide_stands_below_its_title_with_tables_notes_and_charts(tmp_path: Path) -> None:
    document, pieces = read_bytes(tmp_path, "a.pptx", presentation())
    assert (document.format, document.title, document.extracted) == ("pptx", "Hive", True)
    assert [(piece.title_path, piece.text) for piece in pieces] == [
        ("Hive > Bees > slide 1", "Bees\n\nThey dance\nThey sing\n\nSay it slowly."),
        ("Hive > Honey > slide 2", "Honey\n\nTown | Hours\nBasel | 5\n\nJars\nEast\nWest"),
    ]


def test_slides_are_read_in_the_order_of_the_presentation_and_missing_ones_are_noted(tmp_path: Path) -> None:
    def slide(text: str) -> str:
        foot = "<sp><ph type='ftr'/><a:p><a:t>Foot</a:t></a:p></sp>"
        return f"<sld xmlns:a='a'>{foot}<sp><a:p><a:t>{text}</a:t></a:p></sp></sld>"

    data = archives.zipped(
        {
            "_rels/.rels": archives.relationships(officeDocument="ppt/presentation.xml"),
            "ppt/presentation.xml": "<p xmlns:r='r'><sldId id='1' r:id='slide2'/><sldId r:id='slide1' id='2'/>"
            "<sldId id='3' r:id='gone'/></p>",
            "ppt/_rels/presentation.xml.rels": archives.relationships(slide1="one.xml", slide2="two.xml"),
            "ppt/one.xml": slide("One."), "ppt/two.xml": slide("Two."),
        }
    )  # fmt: skip
    document, pieces = read_bytes(tmp_path, "a.pptx", data)
    assert [(piece.title_path, piece.text) for piece in pieces] == [("slide 1", "Two."), ("slide 2", "One.")]
    assert document.parser_notes.notes == ["slide 3 is missing"]


def test_newer_comments_and_pictures_have_words(tmp_path: Path) -> None:
    comment = "<c><cm><txBody><a:p><a:r><a:t>A remark</a:t></a:r></a:p></txBody></cm></c>".replace(
        "<c>", "<c xmlns:a='a'>"
    )
    picture = "<pic><nvPicPr><cNvPr id='2' name='P' descr='A red barn'/></nvPicPr></pic>"
    data = archives.zipped(
        {
            "_rels/.rels": archives.relationships(officeDocument="ppt/presentation.xml"),
            "ppt/presentation.xml": "<p xmlns:r='r'><sldId id='1' r:id='slide1'/></p>",
            "ppt/_rels/presentation.xml.rels": archives.relationships(slide1="one.xml"),
            "ppt/one.xml": f"<sld xmlns:a='a'>{picture}<sp><a:p><a:t>One.</a:t></a:p></sp></sld>",
            "ppt/_rels/one.xml.rels": archives.relationships(comments="c.xml"),
            "ppt/c.xml": comment,
        }
    )  # fmt: skip
    _, [piece] = read_bytes(tmp_path, "a.pptx", data)
    assert piece.text == "A red barn\nOne.\n\nA remark"


def test_a_slide_whose_links_are_broken_costs_no_other(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = dict(archives.unzipped(presentation()))
    files["ppt/slides/_rels/slide1.xml.rels"] = "<broken"
    document, [piece] = read_bytes(tmp_path, "a.pptx", archives.zipped(files))
    assert piece.title_path == "Hive > Honey > slide 2"
    assert document.note.startswith("slide 1 was not read: it has broken XML inside")
