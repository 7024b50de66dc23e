from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.detection.format import format_of
from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading import archives

OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("README", "text"), ("notes.txt", "text"), ("a.MD", "markdown"), ("a.rst", "restructuredtext"),
        ("a.htm", "html"), ("a.py", "python"), ("a.rs", "code"), ("Makefile", "code"), ("a.tsv", "csv"),
        ("a.toml", "configuration"), ("a.jsonl", "data"), ("a.eml", "email"), ("a.ipynb", "notebook"),
        ("a.mbox", "mailbox"), ("a.org", "org"), ("a.adoc", "asciidoc"), ("a.tex", "latex"), ("a.vtt", "subtitles"),
        ("a.vcf", "entries"), ("folder.d/plain", "text"), (".bashrc", "code"), ("name.of.nothing", "text"),
    ],
)  # fmt: skip
def test_the_name_tells_the_format(name: str, found: str) -> None:
    assert format_of(name, b"Some words.") == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"%PDF-1.7\n", "pdf"),
        (b"\xef\xbb\xbfjunk before %PDF-1.4", "pdf"),
        (b"<!DOCTYPE html><html>", "html"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<html>", "html"),
        (b"#!/usr/bin/env python3\n", "python"),
        (b"#!/bin/sh\n", "code"),
        (b"<?xml version='1.0'?><catalogue>", "xml"),
        (b"<rss version='2.0'>", "xml"),
        (b"From: a@b\nTo: c@d\nSubject: x\nDate: today\n\ntext", "email"),
        (b"From a@b Thu Nov 26 11:12:13 2026\nFrom: a@b\n", "mailbox"),
        (b"Name: a\nValue: b\nOther: c\n\n", "text"),
        (archives.docx(""), "docx"),
        (archives.zipped({"xl/workbook.xml": b""}), "xlsx"),
        (archives.zipped({"ppt/presentation.xml": b""}), "pptx"),
        (archives.zipped({"content.xml": b""}), "odt"),
        (rb"{\rtf1\ansi Text.}", "rtf"),
        (archives.epub({}), "epub"),
    ],
)
def test_the_content_tells_the_format_where_the_name_does_not(data: bytes, found: str) -> None:
    assert format_of("thing", data) == found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a picture (PNG)"),
        (b"\x7fELF\2\1\1\0", "is a program"),
        (b"\x1f\x8b\x08\0", "is a gzip archive; unpack it first"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (archives.zipped({"a": b""}), "is a ZIP archive; unpack it first"),
        (
            archives.zipped({"xl/workbook.bin": b""}),
            "is a binary Excel workbook, which is not read; save it as .xlsx",
        ),
        (
            archives.zipped({"Index/Document.iwa": b""}),
            "is a document of Pages, Numbers or Keynote, which is not read; export it as PDF",
        ),
        (archives.zipped({"META-INF/MANIFEST.MF": b""}), "is a program (Java)"),
        (
            archives.zipped({"visio/document.xml": b""}),
            "is a drawing of Visio, which is not read; save it as PDF",
        ),
        (
            archives.zipped({"Contents/content.hpf": b""}),
            "is a document of Hancom Office (HWPX), which is not read; save it as .docx",
        ),
        (archives.zipped({"FixedDocSeq.fdseq": b""}), "is an XPS document, which is not read; save it as PDF"),
        (b"!BDN\0\1", "is a mailbox of Outlook, which is not read; export its messages as .eml"),
        (OLD + "VisioDocument".encode("utf-16-le"), "is a drawing of Visio from before 2013; save it as PDF"),
        (OLD + "Workbook".encode("utf-16-le"), "is a workbook from before 2007; save it as .xlsx"),
        (OLD + "PowerPoint Document".encode("utf-16-le"), "is a presentation from before 2007; save it as .pptx"),
        (OLD + "EncryptedPackage".encode("utf-16-le"), "is encrypted: save it without its password"),
    ],
)
def test_what_is_no_document_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        format_of("letter.docx", data)
    assert str(refused.value) == reason


def test_a_text_that_begins_like_something_else_is_text() -> None:
    for beginning in (
        "MZ is a country code.",
        "BZh, said he.",
        "GIF8 is how it starts",
        "ID3 tags",
        "RIFFs of guitars",
    ):
        assert format_of("a.txt", beginning.encode()) == "text"


def test_pythons_own_library_is_python() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for name in ("argparse.py", "json/decoder.py"):
        assert format_of(name, (library / name).read_bytes()) == "python"
        assert format_of(re.sub(r"\.py$", "", name), b"#!/usr/bin/python\n") == "python"
