from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading import reader
from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline
from agentgw_daemon.workers.retrieval.reading.formats import plain
from agentgw_daemon.workers.retrieval.reading.reader import read
from agentgw_daemon.workers.retrieval.reading.values import (
    DocumentSource,
    OpenedDocument,
    ReadingLimits,
    UnchangedBytes,
    Unreadable,
)
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.counting import by_pieces
from tests.workers.retrieval.reading.reads import read_bytes, read_text


def test_known_bytes_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF- broken")
    digest = hashlib.sha256(b"%PDF- broken").hexdigest()
    found = read(DocumentSource(path=str(path), known_sha256=digest), ReadingLimits(), by_pieces)
    assert found == UnchangedBytes(sha256=digest, size_bytes=12, mtime_ns=path.stat().st_mtime_ns)


def test_a_text_is_read_by_its_name() -> None:
    document, [piece] = read_text("note.md", "# Title\n\nText.")
    assert (document.format, document.title, document.size_bytes, document.mtime_ns) == ("markdown", "Title", 14, 0)
    assert document.sha256 == hashlib.sha256(b"# Title\n\nText.").hexdigest()
    assert (piece.first_line, piece.last_line, piece.first_byte, piece.last_byte) == (1, 3, 0, 14)


def test_a_text_has_the_same_size_limit_as_a_file() -> None:
    with pytest.raises(Unreadable, match="is too large"):
        read(DocumentSource(text="x" * 2000, name="a.txt"), ReadingLimits(max_bytes=1000), by_pieces)


def test_text_has_a_limit_below_that_of_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MAX_TEXT_BYTES", 1000)
    with pytest.raises(Unreadable, match="is too large"):
        read_bytes(tmp_path, "a.txt", b"x" * 1001)
    assert read_bytes(tmp_path, "a.html", b"x" * 1001)[0].format == "html"


def test_pieces_are_made_while_they_are_taken() -> None:
    counted = 0

    def count(texts: object) -> list[int]:
        nonlocal counted
        counted += 1
        assert isinstance(texts, list)
        return by_pieces(texts)

    document = read(DocumentSource(text="Some words. " * 50_000, name="a.txt"), ReadingLimits(), count)
    assert isinstance(document, OpenedDocument)
    assert counted == 0
    next(document.pieces)
    after_one = counted
    list(document.pieces)
    assert counted > 10 * after_one


def test_a_note_says_what_was_not_read_as_it_stands(tmp_path: Path) -> None:
    document, _ = read_bytes(tmp_path, "a.txt", "Grüße aus Köln. ".encode("cp1252") * 9)
    assert document.parser_notes.notes == ["read as CP1252, because it is not UTF-8"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("x"), r"cannot be read as text: its parser failed \(KeyError\)"),
        (RecursionError(), "is nested too deeply"),
        (MemoryError(), "takes too much memory to read"),
    ],
)
def test_whatever_a_parser_raises_makes_one_document_unreadable(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(_text: str, _outline: Outline) -> Iterator[Block]:
        yield Block("prose", 0, 4)
        raise error

    monkeypatch.setattr(plain, "plain_blocks", broken)
    with pytest.raises(Unreadable, match=reason):
        read_text("a.txt", "text")
    # A bug of ours is in the log, and a document's fault is not.
    assert ("Traceback" in capfd.readouterr().err) == isinstance(error, KeyError)


def test_nothing_that_is_no_character_leaves_the_reader(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.py")
    document, [piece] = read_bytes(tmp_path, name, b"def f(): ...")
    assert (document.title, piece.title_path) == ("caf\ufffd.py", "caf\ufffd.py > f")
    russian = "Привет, как дела? " * 20
    document, [piece] = read_bytes(tmp_path, "a.md", f"# Caf|\n\n{russian}".encode().replace(b"|", b"\xe9"))
    assert (document.title, piece.title_path) == ("Caf\ufffd", "Caf\ufffd")
    assert piece.text.startswith("# Caf\ufffd\n")


def test_a_title_without_end_is_cut() -> None:
    document, _ = read_text("a.html", f"<title>{'title ' * 10_000}</title><p>Text.</p>")
    assert len(document.title) == 200


def test_chunks_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        read(DocumentSource(text="x", name="a"), ReadingLimits(chunk_tokens=7), by_pieces)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", b"<html><body><script>draw()</script><nav>Home</nav></body></html>"),
        ("a.svg", b"<svg><path d='M1 2'/></svg>"),
        ("a.docx", archives.docx("<w:p/>")),
        ("a.epub", archives.epub({"a.xhtml": "<html><body><img src='a.png'/></body></html>"})),
        ("a.ipynb", b'{"cells": []}'),
        ("a.md", f"data:image/png;base64,{'iVBORw0KGgo9' * 90}".encode()),
        ("a.json", b'"\\n\\n"'.replace(b'"', b"")),
    ],
)
def test_a_document_of_which_nothing_is_found_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(Unreadable, match="has no text"):
        read_bytes(tmp_path, name, data)


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe\n\0"])
def test_a_file_in_which_nothing_is_written_is_empty(tmp_path: Path, data: bytes) -> None:
    for name in ("a.txt", "__init__.py", "a.html", "a.xml"):
        assert read_bytes(tmp_path, name, data)[1] == []


def test_notes_are_told_once_each_and_not_without_end() -> None:
    document, _ = read_text("a.txt", "The bees dance.")
    document.parser_notes.notes[:] = ["one", "two", "one", *(f"part {number} is missing" for number in range(100_000))]
    assert document.note.startswith("one; two; part 0 is missing; ")
    assert len(document.note) <= 4000
