from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.texts import prose


@given(words=st.integers(min_value=0, max_value=500), seed=st.integers(min_value=0, max_value=1000))
def test_a_text_has_the_words_asked_for_and_is_always_the_same(words: int, seed: int) -> None:
    assert len(prose(words, seed=seed).split()) == words
    assert prose(words, seed=seed) == prose(words, seed=seed)


def test_the_texts_that_the_bench_uses_side_by_side_begin_differently() -> None:
    openings = {tuple(prose(20, seed=seed).split()[:4]) for seed in range(8)}
    assert len(openings) == 8
