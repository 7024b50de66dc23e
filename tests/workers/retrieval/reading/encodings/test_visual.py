from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.encodings.visual import in_order, is_visual
from tests.workers.retrieval.reading.encodings.samples import sentences
from tests.workers.retrieval.reading.reads import read_bytes

LINES = [
    "שלום לכולם, הילדים הולכים לים עם אבא.",
    "המחיר (בשקלים) הוא 1,250 לכל ספר של Open Book.",
    "בערב שותים כוס תה חם בבית קטן ונעים.",
]


def visual(line: str) -> str:
    """The line as it was stored for programs that write from left to right only."""
    turned = line[::-1].translate(str.maketrans("()", ")("))
    for run in ("1,250", "Open Book"):
        turned = turned.replace(run[::-1], run)
    return turned


def test_lines_that_begin_with_their_ends_are_turned() -> None:
    text = "\n".join(LINES)
    stored = "\n".join(map(visual, LINES))
    assert is_visual(stored)
    assert in_order(stored) == text
    assert not is_visual(text)
    assert not any(is_visual("\n".join(lines)) for lines in sentences().values())


@pytest.mark.parametrize("encoding", ["iso8859_8", "cp1255", "cp862"])
def test_texts_and_pages_in_visual_order_are_read_in_theirs(tmp_path: Path, encoding: str) -> None:
    label = encoding.replace("iso8859_8", "iso-8859-8").encode()
    data = "\n".join(map(visual, LINES)).encode(encoding)
    _, [piece] = read_bytes(tmp_path, "a.txt", b"# coding: " + label + b"\n" + data)
    assert piece.text.split("\n")[1:] == LINES
    title = visual("הילדים של שלום").encode(encoding)
    page = b"<meta charset=" + label + b"><title>" + title + b"</title><h1>" + title + b"</h1><p>"
    document, [piece] = read_bytes(tmp_path, "a.html", page + b"<br>".join(data.split(b"\n")))
    assert (document.title, piece.title_path) == ("הילדים של שלום", "הילדים של שלום")
    assert piece.text.split("\n") == ["הילדים של שלום", "", *LINES]
    mail = b"Subject: x\nContent-Type: text/plain; charset=" + label + b"\n\n" + data
    _, [piece] = read_bytes(tmp_path, "a.eml", mail)
    assert piece.text.split("\n")[2:] == LINES
