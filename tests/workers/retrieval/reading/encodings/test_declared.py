from __future__ import annotations

import pytest

from agentgw_daemon.workers.retrieval.reading.encodings import declared


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (b'<meta charset="koi8-r">', "koi8-r"),
        (b"<META http-equiv=Content-Type content='text/html; charset=windows-1251'>", "windows-1251"),
        (b'<?xml version="1.0" encoding="big5"?><html><meta charset=utf-8>', "big5"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=euc-jp>", "euc-jp"),
        (b"<p>charset=koi8-r</p>", ""),
        (b"<meta name=charset>", ""),
    ],
)
def test_a_page_names_its_encoding(page: bytes, name: str) -> None:
    assert declared.in_page(page) == name


def test_xml_names_its_encoding_in_letters_of_its_own() -> None:
    for encoding in ("cp037", "cp500"):
        assert declared.in_xml(f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode(encoding)) == encoding
    assert declared.in_xml(b"<?xml version='1.0' encoding = 'x-sjis' ?>") == "x-sjis"
    assert declared.in_xml(b"<a encoding='x'/>") == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'@charset "iso-8859-15";\na{}', "iso-8859-15"),
        (b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\n", "latin-1"),
        (b"# coding=cp1251\n", "cp1251"),
        (b";; -*- mode: lisp; coding: euc-jp-unix; -*-\n", "euc-jp-unix"),
        (b"words\n" * 50 + b"# vim: set ts=4 fileencoding=koi8-r :\n", "koi8-r"),
        (b"one\ntwo\n# coding: cp1251\n", ""),
        (b"The coding: it is fun.\n", ""),
    ],
)
def test_a_text_names_its_encoding_for_its_editor(text: bytes, name: str) -> None:
    assert declared.in_text(text) == name
