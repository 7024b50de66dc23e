from __future__ import annotations

from tests.bench.plain_words import by_bm25


def test_the_rarer_word_counts_more_and_signs_are_no_syntax() -> None:
    texts = ["bees dance", "bees and birds", "bees fly", "Café (of AND)"]
    assert by_bm25(texts, ["do bees dance?"], 2) == [[0, 2]]
    assert by_bm25(texts, ['"cafe" NEAR -x*'], 2) == [[3]]
    assert by_bm25(texts, ["nothing"], 2) == [[]]
