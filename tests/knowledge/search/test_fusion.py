from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.knowledge.search.fusion import fuse, spread
from agentgw_daemon.storage.words.scoring import WordMatch

_SHARE = st.floats(0, 1)
_WORDS = st.dictionaries(st.integers(0, 20), st.tuples(_SHARE, st.sampled_from([0.0, 0.5, 1.0])), max_size=12)
_NEAR = st.dictionaries(st.integers(0, 20), st.floats(-1, 1, width=32), max_size=12)


def _match(n: int, share: float, named: float = 0.0) -> WordMatch:
    return WordMatch(n=n, score=share, share=share, named=named)


def test_all_words_and_the_same_meaning_are_one_and_nothing_in_common_is_nothing() -> None:
    assert fuse([_match(1, 1.0)], {1: 1.0, 2: -0.3}) == [(1, 1.0), (2, 0.0)]
    assert fuse([], {}) == []


def test_a_little_similarity_and_no_word_is_a_little() -> None:
    [(_, score)] = fuse([], {1: 0.2})
    assert score < 0.2


def test_without_vectors_words_alone_count() -> None:
    assert fuse([_match(1, 0.7), _match(2, 0.2)], {}) == [(1, 0.7), (2, 0.2)]


def test_a_name_comes_before_all_that_is_near_in_meaning() -> None:
    assert [n for n, _ in fuse([_match(1, 0.3, 1.0), _match(2, 0.5)], {2: 0.7, 3: 0.8})] == [1, 2, 3]
    assert [n for n, _ in fuse([_match(1, 0.3, 0.5), _match(2, 0.3, 1.0)], {})] == [2, 1]


def test_words_count_for_meaning_where_the_vector_says_nothing() -> None:
    near = {1: 0.0, 2: 0.5, 3: 0.6}
    assert [n for n, _ in fuse([_match(1, 0.7), _match(3, 0.7), _match(4, 0.1)], near)] == [3, 1, 2, 4]


def test_further_chunks_of_a_document_make_room_for_others() -> None:
    scored = [(1, 0.9), (2, 0.8), (3, 0.75), (4, 0.1)]
    apart = spread(scored, {1: 7, 2: 7, 3: 8, 4: 8})
    assert [n for n, _ in apart] == [1, 3, 2, 4]
    assert dict(apart)[1] == 0.9
    assert spread(scored, {3: 8}) == [(3, 0.75)]


@given(_WORDS, _NEAR)
def test_everything_is_there_once_in_the_order_of_scores_from_nothing_to_one(
    words: dict[int, tuple[float, float]], near: dict[int, float]
) -> None:
    fused = fuse([_match(n, *shares) for n, shares in words.items()], near)
    assert sorted(n for n, _ in fused) == sorted({*words, *near})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
