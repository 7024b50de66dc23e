from __future__ import annotations

import pytest

from agentgw_daemon.workers.retrieval.reading.formats.pdfs.words import folded, share_unreadable, vocabulary_of


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("eﬃcient ﬂy oﬀ ﬁeld ﬆop", "efficient fly off field stop"), ("Ｃ＋＋ ｶﾅ", "C++ カナ"), ("𝐁𝐞𝐞 𝑥", "Bee x"),
        ("ﻻ ﷲ", "لا الله"), ("⽇本", "日本"), ("Gru\u0308n", "Grün"),
        ("m² ™ ½ …", "m² ™ ½ …"), ("a\r\nb\rc", "a\nb\nc"),
    ],
)  # fmt: skip
def test_forms_of_letters_are_folded_and_symbols_are_not(text: str, plain: str) -> None:
    assert folded(text) == plain


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("main\ufffetain", "maintain"),
        ("main-\ntain", "maintain"),
        ("co\ufffeopera\ufffetion", "cooperation"),
        ("MAIN\ufffeTENANCE", "MAINTENANCE"),
        ("Nord\ufffeSüd", "Nord-Süd"),
        ("Ein\ufffeund Ausgang", "Ein- und Ausgang"),
        ("E\ufffemail", "E-mail"),
        ("COVID\ufffe19", "COVID-19"),
        ("self\ufffedefence", "self-defence"),
        ("self\ufffeish", "selfish"),
        ("half\ufffehour", "half-hour"),
        ("a cross\ufffeing", "a crossing"),
        ("book\ufffeshop", "bookshop"),
        ("book\ufffeshop. A book is in a shop.", "book-shop. A book is in a shop."),
        ("book\ufffeshop. A book is in a shop, a bookshop.", "bookshop. A book is in a shop, a bookshop."),
        ("bee\ufffekeeper, a bee-keeper", "bee-keeper, a bee-keeper"),
        ("text \ufffe end\x01", "text  end"),
    ],
)
def test_broken_words_are_judged_by_the_documents_own(text: str, mended: str) -> None:
    assert vocabulary_of([text]).mended(text) == mended


def test_many_broken_words_take_linear_time() -> None:
    text = "a\ufffe" * 200_000 + "b" * 1_000_000
    assert vocabulary_of([text]).mended(text).startswith("a-a")


def test_the_share_of_letters_without_a_meaning() -> None:
    assert share_unreadable("abc \ue000\ue001\ufffd") == 0.5
    assert share_unreadable("Grün\ufffe 饭\n") == 0
    assert share_unreadable("") == 0
