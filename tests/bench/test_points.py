from __future__ import annotations

import numpy as np

from tests.bench.points import chatter, clustered, nearest, recall


def test_vectors_are_of_unit_length_and_always_the_same() -> None:
    vectors = clustered(200, 16, seed=3)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, clustered(200, 16, seed=3))
    assert not np.array_equal(vectors, clustered(200, 16, seed=4))


def test_the_nearest_are_given_the_best_first() -> None:
    vectors = np.eye(4, dtype=np.float32)
    queries = np.array([[0.1, 0.5, 0.3, 0.0], [0.0, 0.0, 0.2, 0.9]], dtype=np.float32)
    assert nearest(vectors, queries, 2).tolist() == [[1, 2], [3, 2]]


def test_recall_is_the_share_of_the_nearest_that_was_found_in_any_order() -> None:
    assert recall([[2, 1], [3, 9]], np.array([[1, 2], [3, 4]])) == 0.75


def test_texts_have_common_and_rare_words_and_are_always_the_same() -> None:
    texts = chatter(300, 50, seed=1)
    words = [word for text in texts for word in text.split()]
    assert texts == chatter(300, 50, seed=1)
    assert len(words) == 300 * 50
    assert sum("ba" in text.split() for text in texts) > 200
    assert len(set(words)) > 3_000
    assert sum("the" in text.split() for text in chatter(300, 50, seed=1, known=["the", "of"])) > 200
