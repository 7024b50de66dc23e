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
        (b"<meta name=description content='how charset=koi8-r works'><meta charset=cp1251>", "cp1251"),
        (b"<meta name=description content='how charset=koi8-r works'>", ""),
        (b"<script>x='<meta charset=big5>'</script><meta charset = ' cp1251 '>", "cp1251"),
        (b"<style>" + b"a{b:c}" * 2000 + b"</style><meta content='text/html;charset=koi8-r' http-equiv=x>", "koi8-r"),
        (b"<meta charset=cp1251/>", "cp1251"),
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
        (b"#!/usr/bin/ruby\n# encoding: windows-1251\n", "windows-1251"),
        (b"# This file uses the following encoding: cp1251\n", "cp1251"),
        (b"-- encoding: cp1251\n", "cp1251"),
        (b"'\\\" t -*- coding: ISO-8859-1 -*-\n.TH A 1\n", "ISO-8859-1"),
        (b"words\n" * 50 + b";; Local Variables:\n;; mode: text\n;; coding: iso-8859-2\n;; End:\n", "iso-8859-2"),
        (b"\\documentclass{a}\n\\usepackage[a,latin2]{inputenc}\n", "latin2"),
        (b"% \\usepackage[latin2]{inputenc}\n", ""),
        (b"\\usepackage[applemac]{inputenc}\n", "mac_roman"),
        (b"% !TEX encoding = ISO-8859-15\n", "ISO-8859-15"),
        (b'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=ISO-8859-2\\n"\n', "ISO-8859-2"),
        (b"= Title\n:encoding: iso-8859-1\n", "iso-8859-1"),
        (b"\\input texinfo\n@documentencoding ISO-8859-1\n", "ISO-8859-1"),
        (b"@charset 'iso-8859-15';\na{}", "iso-8859-15"),
        (b"The encoding: cp1251 is old.\n", ""),
        (b"The coding: it is fun.\n", ""),
    ],
)
def test_a_text_names_its_encoding_for_its_editor(text: bytes, name: str) -> None:
    assert declared.in_text(text) == name
