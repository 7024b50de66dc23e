from __future__ import annotations

from tests.bench.knowledge_cases import hit_rate


def test_a_hit_is_a_question_whose_page_is_anywhere_in_what_was_found() -> None:
    assert hit_rate(["a", "b", "c", "d"], [["a"], ["x", "b", "b"], [], ["a", "b"]]) == 0.5
